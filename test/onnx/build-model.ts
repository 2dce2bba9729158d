import onnxProto from "onnx-proto";
import { bytesSource, type Source } from "../../src/tensor/source.ts";

export const { onnx } = onnxProto;
export type GraphFields = onnxProto.onnx.IGraphProto;
export type NodeFields = onnxProto.onnx.INodeProto;
export type AttributeFields = onnxProto.onnx.IAttributeProto;
export type TensorFields = onnxProto.onnx.ITensorProto;
export type FunctionFields = onnxProto.onnx.IFunctionProto;
type ValueFields = onnxProto.onnx.IValueInfoProto;

const types = onnx.AttributeProto.AttributeType;
const text = new TextEncoder();

/** Attributes from plain values; integers are INT, other numbers FLOAT. */
export function attribute(name: string, value: number | string | readonly number[]): AttributeFields {
  if (typeof value === "string") return { name, type: types.STRING, s: text.encode(value) };
  if (typeof value === "number")
    return Number.isInteger(value)
      ? { name, type: types.INT, i: value }
      : { name, type: types.FLOAT, f: value };
  return { name, type: types.INTS, ints: [...value] };
}
export const tensorAttribute = (name: string, t: TensorFields): AttributeFields => ({
  name,
  type: types.TENSOR,
  t,
});
export const graphAttribute = (name: string, g: GraphFields): AttributeFields => ({
  name,
  type: types.GRAPH,
  g,
});
export const reference = (name: string, refAttrName: string, type: number): AttributeFields => ({
  name,
  refAttrName,
  type,
});

export const node = (
  opType: string,
  input: string[],
  output: string[],
  attributes: AttributeFields[] = [],
  more: NodeFields = {},
): NodeFields => ({ opType, input, output, attribute: attributes, ...more });

/** A graph's input or output; `undefined` in the shape is a size of which nothing is said. */
export function value(
  name: string,
  dataType: number,
  shape?: readonly (number | string | undefined)[],
): ValueFields {
  const dim = shape?.map((size) =>
    typeof size === "string" ? { dimParam: size } : size === undefined ? {} : { dimValue: size },
  );
  return { name, type: { tensorType: { elemType: dataType, ...(dim ? { shape: { dim } } : {}) } } };
}

export const rawTensor = (
  name: string,
  dataType: number,
  dims: number[],
  rawData: ArrayBufferView<ArrayBuffer>,
): TensorFields => ({
  name,
  dataType,
  dims,
  rawData: new Uint8Array(rawData.buffer, rawData.byteOffset, rawData.byteLength),
});

export interface ModelParts {
  readonly graph?: GraphFields;
  readonly functions?: FunctionFields[];
  readonly opsets?: Readonly<Record<string, number>>;
  readonly irVersion?: number;
}

export function modelBytes({
  graph,
  functions = [],
  opsets = { "": 20 },
  irVersion = 8,
}: ModelParts): Uint8Array {
  const opsetImport = Object.entries(opsets).map(([domain, version]) => ({ domain, version }));
  const fields = { irVersion, producerName: "test", producerVersion: "1", opsetImport, functions };
  return onnx.ModelProto.encode(graph ? { ...fields, graph } : fields).finish();
}

export const modelSource = (parts: ModelParts): Source => bytesSource("model.onnx", modelBytes(parts));

/** A length-delimited field, for those that the schema's package does not know. */
export function encodeField(field: number, payload: Uint8Array): Uint8Array {
  return Uint8Array.from([...varint(field * 8 + 2), ...varint(payload.byteLength), ...payload]);
}

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(Math.floor(value / 128))];
}
