import { type DType, integerRange } from "../../tensor/dtype.ts";
import {
  allocate,
  byteLength,
  decodeElements,
  encodeElements,
  type Tensor,
  type TensorData,
} from "../../tensor/tensor.ts";

/** Shaders have neither 64-bit elements nor bools in buffers. */
const narrowed: Partial<Record<DType, DType>> = { i64: "i32", u64: "u32", f64: "f32", bool: "u32" };

/** The dtype that elements of `dtype` take in GPU memory. Everything else lies there as it does in a program. */
export const deviceDType = (dtype: DType): DType => narrowed[dtype] ?? dtype;

/** Bytes of `count` elements in GPU memory. */
export const deviceBytes = (dtype: DType, count: number): number => byteLength(deviceDType(dtype), count);

/** Elements as GPU memory holds them; 64-bit integers beyond 32 bits become the nearest that fits. */
export function toDevice({ dtype, data }: Pick<Tensor, "dtype" | "data">): Uint8Array<ArrayBuffer> {
  const held = deviceDType(dtype);
  if (held === dtype) return encodeElements(dtype, data);
  const words = allocate(held, data.length);
  const [low, high] = integerRange(held) ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let i = 0; i < data.length; i++) words[i] = Math.min(Math.max(data[i]!, low), high);
  return encodeElements(held, words);
}

/** The first `count` elements that `bytes` of GPU memory hold, in memory of their own. */
export function fromDevice(dtype: DType, bytes: Uint8Array, count: number): TensorData {
  const held = decodeElements(deviceDType(dtype), bytes, count);
  if (deviceDType(dtype) === dtype) return held;
  const data = allocate(dtype, count);
  data.set(held);
  return data;
}
