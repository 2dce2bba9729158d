import { bitsPerElement, type DType, isFloat } from "../tensor/dtype.ts";
import { sha256Hex } from "../tensor/sha256.ts";
import type { ByteRange } from "../tensor/source.ts";
import {
  allocate,
  byteLength,
  decodeElements,
  elementCount,
  encodeElements,
  roundToDType,
  type Tensor,
  tensor,
} from "../tensor/tensor.ts";
import { formatType } from "./type.ts";

/**
 * A constant that is somewhere else: a range of a file and what is to be done to it, done when it is read.
 * Holding one costs nothing; nothing read through it is kept.
 */
export interface WeightRef {
  /**
   * Equal ids in one graph mean equal contents. Where the bytes are and what happens to them, as text. Files go by
   * what they are to the model, so that an id does not depend on the folder that the model is in.
   */
  readonly id: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** The elements themselves, for constants of up to `inlineLimit` elements. */
  readonly inline?: Tensor;
  /** Reading some rows costs as much as reading all (a transpose, say): read it in one piece. */
  readonly whole?: boolean;
  /** Rows `from` (inclusive) to `to` (exclusive) of the first dimension; a scalar has one row. */
  rows(from: number, to: number): Promise<Tensor>;
}

/** Constants of at most this many elements are read at import and held in the graph. */
export const inlineLimit = 1024;

export const rowCount = (ref: { readonly shape: readonly number[] }): number => ref.shape[0] ?? 1;
export const rowSize = (ref: { readonly shape: readonly number[] }): number =>
  elementCount(ref.shape.slice(1));
export const readWeight = (ref: WeightRef): Promise<Tensor> => ref.rows(0, rowCount(ref));

export function inlineWeight(value: Tensor, id?: string): WeightRef {
  return {
    id: id ?? `${value.dtype}${JSON.stringify(value.shape)}=${elementsText(value)}`,
    dtype: value.dtype,
    shape: value.shape,
    inline: value,
    rows: async (from, to) => sliceRows(value, from, to),
  };
}

/** Stands for a tensor's elements: a few as they are, many by a hash, which keeps ids and dumps short. */
function elementsText({ data }: Tensor): string {
  const text = Array.from(data, numberText).join(",");
  return data.length <= 16 ? text : sha256Hex(new TextEncoder().encode(text));
}

/** A tensor that was computed ahead of time, whatever its size; small ones are held in the graph. */
export function memoryWeight(value: Tensor): WeightRef {
  if (value.data.length <= inlineLimit) return inlineWeight(value);
  const id = `${formatType(value)} ${sha256Hex(encodeElements(value.dtype, value.data))}`;
  return { id, dtype: value.dtype, shape: value.shape, rows: async (from, to) => sliceRows(value, from, to) };
}

/** A tensor's elements as they lie in a file, little-endian. Small ones are read at once. */
export async function fileWeight(
  bytes: ByteRange,
  dtype: DType,
  shape: readonly number[],
): Promise<WeightRef> {
  const perRow = elementCount(shape.slice(1));
  const count = elementCount(shape);
  const isByteAligned = (bitsPerElement(dtype) * perRow) % 8 === 0;
  const rows = async (from: number, to: number): Promise<Tensor> => {
    const start = isByteAligned ? byteLength(dtype, from * perRow) : 0;
    const end = isByteAligned ? byteLength(dtype, to * perRow) : byteLength(dtype, count);
    const raw = await bytes.read(start, end);
    if (!isByteAligned) return sliceRows({ dtype, shape, data: decodeElements(dtype, raw, count) }, from, to);
    return {
      dtype,
      shape: rowsShape(shape, from, to),
      data: decodeElements(dtype, raw, (to - from) * perRow),
    };
  };
  if (count <= inlineLimit) return inlineWeight(await rows(0, shape[0] ?? 1));
  return { id: bytes.id, dtype, shape, ...(!isByteAligned && { whole: true }), rows };
}

/** A constant computed from others, all at once, each time it is read. */
export function computedWeight(
  id: string,
  dtype: DType,
  shape: readonly number[],
  compute: () => Promise<Tensor>,
): WeightRef {
  return { id, dtype, shape, whole: true, rows: async (from, to) => sliceRows(await compute(), from, to) };
}

/** Applies a function to each row chunk: for transforms that keep rows apart. Shapes agree in the first dimension. */
export function mapRows(
  ref: WeightRef,
  step: string,
  result: { readonly dtype: DType; readonly shape: readonly number[] },
  map: (chunk: Tensor, from: number) => Tensor | Promise<Tensor>,
): WeightRef {
  return {
    id: `${ref.id} | ${step}`,
    dtype: result.dtype,
    shape: result.shape,
    ...(ref.whole === undefined ? {} : { whole: ref.whole }),
    rows: async (from, to) => map(await ref.rows(from, to), from),
  };
}

/** Rows `from` (inclusive) to `to` (exclusive) as a weight of its own. */
export function rowsOfWeight(ref: WeightRef, from: number, to: number): WeightRef {
  if (ref.inline) return inlineWeight(sliceRows(ref.inline, from, to));
  return {
    id: `${ref.id} | rows ${from} to ${to}`,
    dtype: ref.dtype,
    shape: rowsShape(ref.shape, from, to),
    ...(ref.whole === undefined ? {} : { whole: ref.whole }),
    rows: (first, last) => ref.rows(from + first, from + last),
  };
}

/** The same elements under another shape; rows are cut out of the rows that hold them. */
export function reshapeWeight(ref: WeightRef, shape: readonly number[]): WeightRef {
  if (elementCount(shape) !== elementCount(ref.shape))
    throw new Error(`a weight of shape [${ref.shape}] has no shape [${shape}]`);
  if (shape.length === ref.shape.length && shape.every((size, i) => size === ref.shape[i])) return ref;
  if (ref.inline) return inlineWeight({ ...ref.inline, shape });
  const [sizeBefore, size] = [rowSize(ref), rowSize({ shape })];
  const rows = async (from: number, to: number): Promise<Tensor> => {
    const first = Math.floor((from * size) / sizeBefore);
    const { data } = await ref.rows(first, Math.ceil((to * size) / sizeBefore));
    const start = from * size - first * sizeBefore;
    return {
      dtype: ref.dtype,
      shape: rowsShape(shape, from, to),
      data: data.subarray(start, start + (to - from) * size),
    };
  };
  const isWhole = ref.whole === true || sizeBefore > Math.max(size, chunkElements);
  return {
    id: `${ref.id} | reshape ${JSON.stringify(shape)}`,
    dtype: ref.dtype,
    shape,
    ...(isWhole && { whole: true }),
    rows,
  };
}

/** The same numbers in a float type, rounded to it where it is narrower. */
export function castWeight(ref: WeightRef, dtype: DType): WeightRef {
  if (ref.dtype === dtype) return ref;
  if (!isFloat(dtype)) throw new Error(`${dtype} is no float type`);
  const before = untransposed.get(ref);
  if (before) return transposeWeight(castWeight(before, dtype));
  const isWidening = dtype === "f32" && (ref.dtype === "f16" || ref.dtype === "bf16");
  const cast = (chunk: Tensor): Tensor => {
    if (isWidening) return { ...chunk, dtype };
    const data = allocate(dtype, chunk.data.length);
    data.set(chunk.data);
    roundToDType(dtype, data);
    return { dtype, shape: chunk.shape, data };
  };
  if (ref.inline) return inlineWeight(cast(ref.inline));
  return mapRows(ref, `cast ${dtype}`, { dtype, shape: ref.shape }, cast);
}

/** Every element times a number, rounded to the weight's dtype. */
export function scaleWeight(ref: WeightRef, factor: number): WeightRef {
  if (factor === 1) return ref;
  const scale = (chunk: Tensor): Tensor => {
    const data = allocate(ref.dtype, chunk.data.length);
    for (let i = 0; i < data.length; i++) data[i] = chunk.data[i]! * factor;
    roundToDType(ref.dtype, data);
    return { dtype: ref.dtype, shape: chunk.shape, data };
  };
  if (ref.inline) return inlineWeight(scale(ref.inline));
  return mapRows(ref, `times ${numberText(factor)}`, { dtype: ref.dtype, shape: ref.shape }, scale);
}

/** What a transposed weight was before, so that transposing twice costs nothing. */
const untransposed = new WeakMap<WeightRef, WeightRef>();

/** Elements on a side of the squares that a transpose goes by: both sides of a square stay in the L1 cache. */
const transposeTile = 32;

/** Matrix transpose. */
export function transposeWeight(ref: WeightRef): WeightRef {
  if (ref.shape.length !== 2) throw new Error(`a weight of shape [${ref.shape}] is no matrix`);
  const before = untransposed.get(ref);
  if (before) return before;
  const [rows, columns] = ref.shape as readonly [number, number];
  const shape = [columns, rows];
  const transpose = ({ dtype, data }: Tensor): Tensor => {
    const out = allocate(dtype, data.length);
    for (let top = 0; top < rows; top += transposeTile)
      for (let left = 0; left < columns; left += transposeTile) {
        const bottom = Math.min(rows, top + transposeTile);
        const right = Math.min(columns, left + transposeTile);
        for (let r = top; r < bottom; r++)
          for (let c = left; c < right; c++) out[c * rows + r] = data[r * columns + c]!;
      }
    return { dtype, shape, data: out };
  };
  const result = ref.inline
    ? inlineWeight(transpose(ref.inline))
    : computedWeight(`${ref.id} | transpose`, ref.dtype, shape, async () => transpose(await readWeight(ref)));
  untransposed.set(result, ref);
  return result;
}

/** Elements that are read at a time. */
const chunkElements = 1 << 22;

/** Yields a weight in chunks of whole rows, of about `elements` elements where it can be read in parts. */
export async function* streamRows(ref: WeightRef, elements = chunkElements): AsyncGenerator<Tensor> {
  const rows = rowCount(ref);
  const step = ref.whole ? rows : Math.max(1, Math.floor(elements / Math.max(1, rowSize(ref))));
  for (let from = 0; from < rows; from += step) yield await ref.rows(from, Math.min(rows, from + step));
}

export function sliceRows(value: Tensor, from: number, to: number): Tensor {
  const rows = value.shape[0] ?? 1;
  if (from === 0 && to === rows) return value;
  const size = value.data.length / rows;
  const data = value.data.subarray(from * size, to * size);
  return tensor(value.dtype, rowsShape(value.shape, from, to), data);
}

const rowsShape = (shape: readonly number[], from: number, to: number): readonly number[] =>
  shape.length === 0 ? shape : [to - from, ...shape.slice(1)];

/** What errors call a weight: the id of one held in memory is its contents. */
export const placeOf = (ref: WeightRef): string => (ref.inline ? formatType(ref) : ref.id);

/** A number as text that reads back as the same number, with the IEEE values that JSON lacks. */
export const numberText = (value: number): string => (Object.is(value, -0) ? "-0" : String(value));
