import type { DType } from "./dtype.ts";
import { encodeElements, type Tensor } from "./tensor.ts";

/** What a safetensors header calls the dtypes that it has. */
export const safetensorsNames: { readonly [D in DType]?: string } = {
  f64: "F64",
  f32: "F32",
  f16: "F16",
  bf16: "BF16",
  i64: "I64",
  i32: "I32",
  i16: "I16",
  i8: "I8",
  u64: "U64",
  u32: "U32",
  u16: "U16",
  u8: "U8",
  bool: "BOOL",
};

/**
 * A safetensors file: the header's length as u64, the header as JSON padded with spaces to 8 bytes, then
 * the tensors' elements, little-endian, without gaps.
 * @throws Error for a dtype that the format has no name for
 */
export function encodeSafetensors(tensors: Readonly<Record<string, Tensor>>): Uint8Array<ArrayBuffer> {
  const header: Record<string, { dtype: string; shape: readonly number[]; data_offsets: [number, number] }> =
    {};
  const parts: Uint8Array[] = [];
  let size = 0;
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    const stored = safetensorsNames[dtype];
    if (stored === undefined) throw new Error(`safetensors has no dtype for ${dtype}`);
    const bytes = encodeElements(dtype, data);
    header[name] = { dtype: stored, shape, data_offsets: [size, size + bytes.byteLength] };
    parts.push(bytes);
    size += bytes.byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const headerSize = Math.ceil(text.byteLength / 8) * 8;
  const file = new Uint8Array(8 + headerSize + size).fill(0x20, 8, 8 + headerSize);
  new DataView(file.buffer).setBigUint64(0, BigInt(headerSize), true);
  file.set(text, 8);
  let at = 8 + headerSize;
  for (const part of parts) {
    file.set(part, at);
    at += part.byteLength;
  }
  return file;
}
