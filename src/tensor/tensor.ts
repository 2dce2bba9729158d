import { type DType, integerRange } from "./dtype.ts";
import { bfloat16ToFloat32, float16ToFloat32, float32ToBfloat16, float32ToFloat16 } from "./float16.ts";

/**
 * How a tensor's elements are held in memory: one JavaScript number each.
 *
 * - `f16` and `bf16` are held as f32 numbers that the type can represent;
 * - `i64` and `u64` are held as f64, exact up to 2^53: a language model's 64-bit integers are token ids,
 *   positions and sizes, and BigInt arithmetic would make every one of them slow;
 * - 2- and 4-bit integers take a byte each; `tq2_0`/`tq1_0` are opaque bytes (see `packing/`).
 */
export type TensorData =
  | Float64Array<ArrayBuffer>
  | Float32Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>;

/** A dense, row-major tensor with a concrete shape. */
export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

interface Storage {
  new (length: number): TensorData;
  new (buffer: ArrayBuffer, byteOffset?: number, length?: number): TensorData;
  readonly BYTES_PER_ELEMENT: number;
}

const storage: { readonly [D in DType]: Storage } = {
  f64: Float64Array,
  f32: Float32Array,
  f16: Float32Array,
  bf16: Float32Array,
  i64: Float64Array,
  i32: Int32Array,
  i16: Int16Array,
  i8: Int8Array,
  i4: Int8Array,
  i2: Int8Array,
  u64: Float64Array,
  u32: Uint32Array,
  u16: Uint16Array,
  u8: Uint8Array,
  u4: Uint8Array,
  u2: Uint8Array,
  bool: Uint8Array,
  tq2_0: Uint8Array,
  tq1_0: Uint8Array,
};

export const elementCount = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** Zero-filled memory for `length` elements of `dtype`. */
export const allocate = (dtype: DType, length: number): TensorData => new storage[dtype](length);

/** Elements that lie in a buffer as memory holds them. */
export const elementsAt = (dtype: DType, buffer: ArrayBuffer, offset: number, length: number): TensorData =>
  new storage[dtype](buffer, offset, length);

/** A tensor of the given elements, rounded to what `dtype` can represent where they come as a list, or of zeros. */
export function tensor(
  dtype: DType,
  shape: readonly number[],
  data?: TensorData | readonly number[],
): Tensor {
  if (data === undefined) return { dtype, shape, data: allocate(dtype, elementCount(shape)) };
  if (!Array.isArray(data)) return { dtype, shape, data: data as TensorData };
  const memory = allocate(dtype, data.length);
  memory.set(data as number[]);
  roundToDType(dtype, memory);
  return { dtype, shape, data: memory };
}

export const scalarTensor = (dtype: DType, value: number): Tensor => tensor(dtype, [], [value]);

/** Rounds every element in place to what `dtype` can represent; only the 16-bit floats need it. */
export function roundToDType(dtype: DType, data: TensorData): void {
  if (dtype === "f16")
    for (let i = 0; i < data.length; i++) data[i] = float16ToFloat32(float32ToFloat16(data[i]!));
  if (dtype === "bf16")
    for (let i = 0; i < data.length; i++) data[i] = bfloat16ToFloat32(float32ToBfloat16(data[i]!));
}

/** Elements that files hold as words of another kind than memory does. */
interface Words {
  readonly View: typeof Uint16Array | typeof BigInt64Array | typeof BigUint64Array;
  decode(word: number | bigint): number;
  encode(value: number): number | bigint;
}

const fileWords: { readonly [D in DType]?: Words } = {
  f16: { View: Uint16Array, decode: (word) => float16ToFloat32(word as number), encode: float32ToFloat16 },
  bf16: { View: Uint16Array, decode: (word) => bfloat16ToFloat32(word as number), encode: float32ToBfloat16 },
  i64: { View: BigInt64Array, decode: Number, encode: toInt64 },
  u64: { View: BigUint64Array, decode: Number, encode: toUint64 },
};

/** Bits of elements of less than a byte, of which files pack several into one. */
const packedBits: { readonly [D in DType]?: number } = { i2: 2, u2: 2, i4: 4, u4: 4 };

/** Bytes of `count` elements as files hold them: little-endian, 2- and 4-bit elements packed from the low bit up. */
export function byteLength(dtype: DType, count: number): number {
  const bits = packedBits[dtype];
  if (bits !== undefined) return Math.ceil((count * bits) / 8);
  return count * (fileWords[dtype]?.View ?? storage[dtype]).BYTES_PER_ELEMENT;
}

/**
 * Decodes `count` little-endian elements from a file's bytes, into memory of their own. Any byte but 0 is true.
 * @throws RangeError when there are too few bytes
 */
export function decodeElements(dtype: DType, bytes: Uint8Array, count: number): TensorData {
  const need = byteLength(dtype, count);
  if (bytes.byteLength < need) throw new RangeError(`${need} bytes expected, ${bytes.byteLength} found`);
  const out = allocate(dtype, count);
  const words = fileWords[dtype];
  const bits = packedBits[dtype];
  if (words !== undefined) {
    const view = new words.View(bufferOf(bytes, need), 0, count);
    for (let i = 0; i < count; i++) out[i] = words.decode(view[i]!);
  } else if (bits !== undefined) {
    const perByte = 8 / bits;
    const signBit = dtype.startsWith("i") ? 1 << (bits - 1) : 0;
    for (let i = 0; i < count; i++) {
      const code = (bytes[Math.floor(i / perByte)]! >> (bits * (i % perByte))) & ((1 << bits) - 1);
      out[i] = (code ^ signBit) - signBit;
    }
  } else if (dtype === "bool") {
    for (let i = 0; i < count; i++) out[i] = bytes[i] === 0 ? 0 : 1;
  } else {
    new Uint8Array(out.buffer).set(bytes.subarray(0, need));
  }
  return out;
}

/** The bytes of a tensor's elements as files hold them. Shares memory with `data` where the layout is the same. */
export function encodeElements(dtype: DType, data: TensorData): Uint8Array<ArrayBuffer> {
  const count = data.length;
  const words = fileWords[dtype];
  const bits = packedBits[dtype];
  if (words !== undefined) {
    const view = new words.View(count);
    for (let i = 0; i < count; i++) view[i] = words.encode(data[i]!);
    return new Uint8Array(view.buffer);
  }
  if (bits === undefined) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const perByte = 8 / bits;
  const out = new Uint8Array(byteLength(dtype, count));
  for (let i = 0; i < count; i++)
    out[Math.floor(i / perByte)]! |= (data[i]! & ((1 << bits) - 1)) << (bits * (i % perByte));
  return out;
}

/** 2^63 - 1, meant as "as far as it goes", is held as the nearest f64, 2^63, and goes back to what it was. */
function toInt64(value: number): bigint {
  return value >= 2 ** 63 ? 2n ** 63n - 1n : BigInt(Math.max(value, -(2 ** 63)));
}
function toUint64(value: number): bigint {
  return value >= 2 ** 64 ? 2n ** 64n - 1n : BigInt(Math.max(value, 0));
}

/** Truncates a number and wraps it as two's complement does; NaN and the infinities become 0. */
export function toInteger(dtype: DType, value: number): number {
  if (!Number.isFinite(value)) return 0;
  const truncated = Math.trunc(value) + 0; // -0 becomes 0
  const range = integerRange(dtype);
  if (range === undefined) return truncated;
  const [low, high] = range;
  if (truncated >= low && truncated <= high) return truncated;
  const size = high - low + 1;
  const rest = (truncated % size) + 0; // exact, with the sign of the dividend
  if (rest < low) return rest + size;
  return rest >= low + size ? rest - size : rest;
}

/** A buffer that begins with the bytes, whatever their alignment in the one they are in. */
function bufferOf(bytes: Uint8Array, length: number): ArrayBuffer {
  if (bytes.byteOffset === 0 && bytes.buffer instanceof ArrayBuffer) return bytes.buffer;
  return new Uint8Array(bytes.subarray(0, length)).buffer; // A Buffer's `slice` would not copy.
}
