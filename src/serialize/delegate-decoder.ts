import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import type { AttrValue } from "../ir/ops/op.ts";
import type { ProgramConstant, ProgramGraph, ProgramNode } from "../runtime/graph.ts";
import type { Dim } from "../tensor/dim.ts";
import { type DType, dtypes, isTernaryBlock } from "../tensor/dtype.ts";
import { hexOf } from "../tensor/hex.ts";
import { byteLength, decodeElements, elementCount, type Tensor } from "../tensor/tensor.ts";
import type { BlobEntry } from "./blob.ts";
import { type CheckedBuffer, element, required } from "./checked-buffer.ts";
import type { ReadContents } from "./delegate.ts";
import * as fb from "./generated/read/bitnetc.ts";
import { sizeOf } from "./header.ts";
import { decodePlan } from "./plan-decoder.ts";
import { parseSize } from "./size-text.ts";
import { rootOf } from "./table.ts";

/** @throws RangeError with half a sentence for what does not fit the schema, BitnetcError when it is newer */
export function decodeDelegate(buffer: CheckedBuffer, at: string, newest: number): ReadContents {
  const delegate = rootOf(buffer, fb.Delegate);
  const { version, chunkSize, plan } = delegate;
  if (version > newest) throw new BitnetcError(diagnostics.programVersion(at, version, newest));
  const symbols = delegate.symbols.map(({ name, min, max }) => ({
    name: required(name, "the name of a symbol"),
    min: Number(min),
    max: Number(max),
  }));
  const sizes = delegate.sizes.map((text): Dim => {
    const size = parseSize(text, symbols);
    if (size === undefined) throw new RangeError(`it has the size ${JSON.stringify(text.slice(0, 40))}`);
    return size;
  });
  const sizesAt = (indices: readonly number[] | null): Dim[] =>
    (indices ?? []).map((at) => element(sizes, at, "size"));
  const named = ({ name, value }: fb.Binding) => ({
    name: required(name, "the name of an input or output"),
    value,
  });
  const graph: ProgramGraph = {
    values: delegate.values.map(({ dtype, shape }) => ({ dtype: dtypeOf(dtype), shape: sizesAt(shape) })),
    inputs: delegate.inputs.map((input) => ({
      ...named(input),
      ...(input.contents && { contents: sizesAt(input.contents) }),
    })),
    outputs: delegate.outputs.map(named),
    states: delegate.states.map(named),
    constants: delegate.constants.map(decodeConstant),
    dims: delegate.dims.map(({ value, sizes }) => ({ value, sizes: sizesAt(sizes) })),
    nodes: delegate.nodes.map(decodeNode),
  };
  return {
    version,
    graph,
    ...(plan && { plan: decodePlan(plan, sizes, graph) }),
    blobs: delegate.blobs.map((blob) => decodeBlob(blob, chunkSize)),
  };
}

const dtypeOf = (number: number): DType => element(dtypes, number, "element type");

const decodeConstant = ({ value, key, inline }: fb.Constant): ProgramConstant =>
  key === null
    ? { value, inline: decodeInline(required(inline, "the elements of a constant")) }
    : { value, key };

function decodeInline(inline: fb.InlineTensor): Tensor {
  const dtype = dtypeOf(inline.dtype);
  const shape = inline.shape ?? [];
  const bytes = required(inline.data, "the elements of a constant");
  // How many bytes blocks take is for `packing/` to say: they are bytes here.
  const count = isTernaryBlock(dtype) ? bytes.length : elementCount(shape);
  if (byteLength(dtype, count) !== bytes.length)
    throw new RangeError(`a constant of ${count} elements has ${bytes.length} bytes`);
  return { dtype, shape, data: decodeElements(dtype, bytes, count) };
}

function decodeNode({ op, args, attrs, results, source }: fb.Node): ProgramNode {
  return {
    op: required(op, "the name of an op"),
    args: Object.fromEntries(
      args.map(({ name, isList, values }) => {
        const list = values ?? [];
        if (!isList && list.length !== 1) throw new RangeError(`one argument has ${list.length} values`);
        return [required(name, "the name of an argument"), isList ? list : list[0]!];
      }),
    ),
    attrs: Object.fromEntries(
      attrs.map((attribute) => [
        required(attribute.name, "the name of an attribute"),
        decodeAttribute(attribute),
      ]),
    ),
    results: results ?? [],
    source: source ?? "",
  };
}

function decodeAttribute({ kind, numbers, strings }: fb.Attribute): AttrValue {
  const list = numbers ?? [];
  const first = <T>(values: readonly T[]): T => required(values[0], "the value of an attribute");
  switch (kind) {
    case fb.AttributeKind.number:
      return first(list);
    case fb.AttributeKind.boolean:
      return first(list) !== 0;
    case fb.AttributeKind.string:
      return first(strings);
    case fb.AttributeKind.numbers:
      return list;
    case fb.AttributeKind.strings:
      return strings;
    default:
      throw new RangeError(`it has an attribute of the unknown kind ${kind}`);
  }
}

function decodeBlob(blob: fb.Blob, chunkSize: number): BlobEntry {
  const key = required(blob.key, "the key of named data");
  const size = sizeOf(blob.size);
  const sha256 = hexOf(required(blob.sha256, "a SHA-256"));
  if (sha256.length !== 64) throw new RangeError(`a SHA-256 has ${sha256.length / 2} bytes`);
  const { chunks } = blob;
  if (chunks === null) return { key, size, sha256 };
  const count = Math.ceil(size / chunkSize);
  if (count === 0 || chunks.length !== 32 * count)
    throw new RangeError(`the pieces of ${key} have ${chunks.length} bytes of SHA-256`);
  const hashes = Array.from({ length: count }, (_, i) => hexOf(chunks.subarray(32 * i, 32 * i + 32)));
  return { key, size, sha256, chunks: { size: chunkSize, sha256: hashes } };
}
