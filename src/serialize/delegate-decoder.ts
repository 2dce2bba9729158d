import { bytesToHex } from "@noble/hashes/utils.js";
import type { ByteBuffer } from "flatbuffers";
import { BitnetcError, diagnostics } from "../errors.ts";
import type { AttrValue } from "../ir/ops/op.ts";
import type { ProgramConstant, ProgramGraph, ProgramNode } from "../runtime/graph.ts";
import type { Dim } from "../tensor/dim.ts";
import { type DType, isTernaryBlock } from "../tensor/dtype.ts";
import { byteLength, decodeElements, elementCount, type Tensor } from "../tensor/tensor.ts";
import type { BlobEntry } from "./blob.ts";
import { index, numbers, required, vector } from "./checked-buffer.ts";
import type { DelegateContents } from "./delegate.ts";
import * as fb from "./generated/read/bitnetc.ts";
import { sizeOf } from "./header.ts";
import { parseSize } from "./size-text.ts";

/** @throws RangeError with half a sentence for what does not fit the schema, BitnetcError when it is newer */
export function decodeDelegate(buffer: ByteBuffer, at: string, version: number): DelegateContents {
  const delegate = fb.Delegate.getRootAsDelegate(buffer);
  if (delegate.version() > version)
    throw new BitnetcError(diagnostics.programVersion(at, delegate.version(), version));
  const symbols = vector(delegate.symbolsLength(), (i) => delegate.symbols(i)).map((symbol) => ({
    name: required(symbol.name(), "the name of a symbol"),
    min: Number(symbol.min()),
    max: Number(symbol.max()),
  }));
  const sizes = vector(delegate.sizesLength(), (i) => delegate.sizes(i)).map((text): Dim => {
    const size = parseSize(text, symbols);
    if (size === undefined) throw new RangeError(`it has the size ${JSON.stringify(text.slice(0, 40))}`);
    return size;
  });
  const sizesAt = (indices: ArrayLike<number> | null): Dim[] =>
    numbers(indices).map((at) => sizes[index(at, sizes.length, "size")]!);
  const bindings = (length: number, at: (i: number) => fb.Binding | null) =>
    vector(length, at).map((binding) => ({
      name: required(binding.name(), "the name of an input or output"),
      value: binding.value(),
    }));
  const graph: ProgramGraph = {
    values: vector(delegate.valuesLength(), (i) => delegate.values(i)).map((value) => ({
      dtype: dtypeOf(value.dtype()),
      shape: sizesAt(value.shapeArray()),
    })),
    inputs: bindings(delegate.inputsLength(), (i) => delegate.inputs(i)).map((input, i) => {
      const contents = delegate.inputs(i)?.contentsArray() ?? null;
      return contents === null ? input : { ...input, contents: sizesAt(contents) };
    }),
    outputs: bindings(delegate.outputsLength(), (i) => delegate.outputs(i)),
    states: bindings(delegate.statesLength(), (i) => delegate.states(i)),
    constants: vector(delegate.constantsLength(), (i) => delegate.constants(i)).map(decodeConstant),
    dims: vector(delegate.dimsLength(), (i) => delegate.dims(i)).map((dims) => ({
      value: dims.value(),
      sizes: sizesAt(dims.sizesArray()),
    })),
    nodes: vector(delegate.nodesLength(), (i) => delegate.nodes(i)).map(decodeNode),
  };
  return { graph, blobs: vector(delegate.blobsLength(), (i) => delegate.blobs(i)).map(decodeBlob) };
}

function dtypeOf(number: fb.DType): DType {
  const name: DType | undefined = (fb.DType as Readonly<Record<number, string>>)[number] as DType | undefined;
  if (name === undefined) throw new RangeError(`it has the unknown element type ${number}`);
  return name;
}

function decodeConstant(constant: fb.Constant): ProgramConstant {
  const key = constant.key();
  return key === null
    ? {
        value: constant.value(),
        inline: decodeInline(required(constant.inline(), "the elements of a constant")),
      }
    : { value: constant.value(), key };
}

function decodeInline(inline: fb.InlineTensor): Tensor {
  const dtype = dtypeOf(inline.dtype());
  const shape = numbers(inline.shapeArray());
  const bytes = required(inline.dataArray(), "the elements of a constant");
  // How many bytes blocks take is for `packing/` to say: they are bytes here.
  const count = isTernaryBlock(dtype) ? bytes.length : elementCount(shape);
  if (byteLength(dtype, count) !== bytes.length)
    throw new RangeError(`a constant of ${count} elements has ${bytes.length} bytes`);
  return { dtype, shape, data: decodeElements(dtype, bytes, count) };
}

function decodeNode(node: fb.Node): ProgramNode {
  const args = vector(node.argsLength(), (i) => node.args(i)).map((argument) => {
    const values = numbers(argument.valuesArray());
    if (!argument.isList() && values.length !== 1)
      throw new RangeError(`one argument has ${values.length} values`);
    return [
      required(argument.name(), "the name of an argument"),
      argument.isList() ? values : values[0]!,
    ] as const;
  });
  const attrs = vector(node.attrsLength(), (i) => node.attrs(i)).map(
    (attribute) =>
      [required(attribute.name(), "the name of an attribute"), decodeAttribute(attribute)] as const,
  );
  return {
    op: required(node.op(), "the name of an op"),
    args: Object.fromEntries(args),
    attrs: Object.fromEntries(attrs),
    results: numbers(node.resultsArray()),
    source: node.source() ?? "",
  };
}

function decodeAttribute(attribute: fb.Attribute): AttrValue {
  const list = numbers(attribute.numbersArray());
  const strings = vector(attribute.stringsLength(), (i) => attribute.strings(i));
  switch (attribute.kind()) {
    case fb.AttributeKind.number:
      return required(list[0] ?? null, "the value of an attribute");
    case fb.AttributeKind.boolean:
      return required(list[0] ?? null, "the value of an attribute") !== 0;
    case fb.AttributeKind.string:
      return required(strings[0] ?? null, "the value of an attribute");
    case fb.AttributeKind.numbers:
      return list;
    case fb.AttributeKind.strings:
      return strings;
    default:
      throw new RangeError(`it has an attribute of the unknown kind ${attribute.kind()}`);
  }
}

function decodeBlob(blob: fb.Blob): BlobEntry {
  const sha256 = bytesToHex(required(blob.sha256Array(), "a SHA-256"));
  if (sha256.length !== 64) throw new RangeError(`a SHA-256 has ${sha256.length / 2} bytes`);
  return { key: required(blob.key(), "the key of named data"), size: sizeOf(blob.size()), sha256 };
}
