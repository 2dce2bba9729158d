import onnxProto from "onnx-proto";
import protobuf from "protobufjs/minimal.js";
import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError } from "../../errors.ts";
import { computedWeight, fileWeight, inlineLimit, inlineWeight, type WeightRef } from "../../ir/weights.ts";
import type { DType } from "../../tensor/dtype.ts";
import { type ByteRange, byteRange } from "../../tensor/source.ts";
import {
  allocate,
  byteLength,
  decodeElements,
  elementCount,
  type Tensor,
  type TensorData,
} from "../../tensor/tensor.ts";
import { dataTypeName, dtypeOfDataType } from "./data-type.ts";
import type { ExternalData } from "./external.ts";
import type { OnnxTensor } from "./model.ts";
import type { LocatedField, MessageReader, Span } from "./wire.ts";

const { onnx } = onnxProto;
type TensorProto = InstanceType<typeof onnx.TensorProto>;

/** Field numbers of TensorProto. */
const field = { float: 4, int32: 5, string: 6, int64: 7, raw: 9, double: 10, uint64: 11, doc: 12 };
const dataFields = new Set(Object.values(field));

/** The field that holds elements of a type when they are not raw bytes. */
const typedField: { readonly [D in DType]?: number } = {
  f32: field.float,
  f64: field.double,
  i64: field.int64,
  u64: field.uint64,
  u32: field.uint64,
};

/** Data of up to this many bytes is read together with the message that it is in. */
const readAtOnce = inlineLimit * 8;

/** An int64 as the decoders give it. */
type Int64 = number | { toNumber(): number };
export const toNumber = (value: Int64 | null | undefined): number =>
  typeof value === "number" ? value : (value?.toNumber() ?? 0);

/**
 * Reads a TensorProto without its elements.
 * @param fallbackName what errors call the tensor when it has no name
 */
export async function readTensor(
  reader: MessageReader,
  span: Span,
  external: ExternalData,
  fallbackName: string,
): Promise<OnnxTensor> {
  const { rest, located } = await reader.split(span, (number) => dataFields.has(number));
  const proto = reader.decode(onnx.TensorProto, rest, span);
  const data: ElementBytes[] = [];
  // One after the other: the reader has one window.
  for (const part of located) data.push(await elementBytes(reader, part));
  const name = proto.name || fallbackName;
  const { dataType } = proto;
  const shape = proto.dims.map(toNumber);
  if (shape.some((dim) => dim < 0))
    throw new BitnetcError(diagnostics.onnxCorrupt(reader.source.name, span.from));
  const isExternal = proto.dataLocation === onnx.TensorProto.DataLocation.EXTERNAL;
  const entries = new Map(proto.externalData.map(({ key, value }) => [key ?? "", value ?? ""]));
  const weight = (): Promise<WeightRef> => {
    const dtype = dtypeOfDataType(dataType);
    if (dtype === undefined) throw new BitnetcError(diagnostics.onnxDataType(name, dataTypeName(dataType)));
    return isExternal
      ? external
          .range(name, entries, byteLength(dtype, elementCount(shape)))
          .then((bytes) => fileWeight(bytes, dtype, shape))
      : weightInModel(name, dtype, shape, proto, data);
  };
  return {
    name,
    dataType,
    shape,
    ...(isExternal ? { externalFile: entries.get("location") ?? "" } : {}),
    weight: async () => weight(),
  };
}

interface ElementBytes extends ByteRange {
  readonly field: number;
}

async function elementBytes(reader: MessageReader, part: LocatedField): Promise<ElementBytes> {
  const { source } = reader;
  const range = byteRange(source, part.from, part.to - part.from, "model");
  if (range.size > readAtOnce || part.field === field.doc) return { ...range, field: part.field };
  const bytes = await reader.bytes(part);
  return { ...range, field: part.field, read: async (from, to) => bytes.subarray(from, to) };
}

async function weightInModel(
  name: string,
  dtype: DType,
  shape: readonly number[],
  proto: TensorProto,
  data: readonly ElementBytes[],
): Promise<WeightRef> {
  const count = elementCount(shape);
  const need = byteLength(dtype, count);
  const raw = data.find((part) => part.field === field.raw && part.size > 0);
  if (raw !== undefined) {
    if (raw.size !== need) throw new BitnetcError(diagnostics.onnxTensorSize(name, need, raw.size));
    return fileWeight(raw, dtype, shape);
  }
  const number = typedField[dtype] ?? field.int32;
  const typed = data.filter((part) => part.field === number);
  if (typed.length > 1) throw new BitnetcError(diagnostics.onnxTensorPieces(name));
  const packed = typed[0];
  if (packed === undefined)
    return inlineWeight(fromNumbers(name, dtype, shape, listedNumbers(proto, number)));
  if (number === field.float || number === field.double) {
    if (packed.size !== need) throw new BitnetcError(diagnostics.onnxTensorSize(name, need, packed.size));
    return fileWeight(packed, dtype, shape);
  }
  const read = async (): Promise<Tensor> =>
    fromNumbers(name, dtype, shape, packedIntegers(await packed.read(0, packed.size), number));
  if (count <= inlineLimit) return inlineWeight(await read());
  return computedWeight(`${packed.id} | integers`, dtype, shape, read);
}

/** Elements that the file lists one by one, each with a tag of its own. */
function listedNumbers(proto: TensorProto, number: number): readonly number[] {
  switch (number) {
    case field.float:
      return proto.floatData;
    case field.double:
      return proto.doubleData;
    case field.int64:
      return proto.int64Data.map(toNumber);
    case field.uint64:
      return proto.uint64Data.map(toNumber);
    default:
      return proto.int32Data;
  }
}

function packedIntegers(bytes: Uint8Array, number: number): readonly number[] {
  const reader = protobuf.Reader.create(bytes);
  const values: number[] = [];
  while (reader.pos < reader.len) {
    // The package's types leave out the methods of the objects that it returns.
    if (number === field.int32) values.push(reader.int32());
    else
      values.push(toNumber((number === field.int64 ? reader.int64() : reader.uint64()) as unknown as Int64));
  }
  return values;
}

/**
 * Elements from the numbers of a typed field. int32_data holds the bits of 16-bit floats, and bytes with two
 * 4-bit or four 2-bit elements each (onnx.proto, TensorProto.int32_data).
 */
function fromNumbers(
  name: string,
  dtype: DType,
  shape: readonly number[],
  numbers: readonly number[],
): Tensor {
  const count = elementCount(shape);
  const bits = dtype === "f16" || dtype === "bf16" ? 16 : byteLength(dtype, 8) < 8 ? 8 : 0;
  const expected = bits === 8 ? byteLength(dtype, count) : count;
  if (numbers.length !== expected)
    throw new BitnetcError(
      diagnostics.onnxTensorSize(name, byteLength(dtype, count), byteLength(dtype, numbers.length)),
    );
  if (bits > 0) {
    const words = bits === 16 ? Uint16Array.from(numbers) : Uint8Array.from(numbers);
    return { dtype, shape, data: decodeElements(dtype, new Uint8Array(words.buffer), count) };
  }
  const elements: TensorData = allocate(dtype, count);
  elements.set(dtype === "bool" ? numbers.map((value) => (value === 0 ? 0 : 1)) : numbers);
  return { dtype, shape, data: elements };
}
