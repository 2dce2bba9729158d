import type { DType } from "../../src/tensor/dtype.ts";
import { type FileSet, memoryFiles } from "../../src/tensor/source.ts";
import { encodeElements, tensor } from "../../src/tensor/tensor.ts";

/** A tensor to be written; its numbers are rounded to `dtype` on the way. */
export interface TestTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: readonly number[] | Float32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>;
}
export type TestTensors = Readonly<Record<string, TestTensor>>;

const utf8 = new TextEncoder();

/** A file with any header, valid or not: the length, the header's text, the data. */
export function safetensorsFile(
  header: string,
  data: Uint8Array = new Uint8Array(),
  length?: number,
): Uint8Array {
  const text = utf8.encode(header);
  const out = new Uint8Array(8 + text.length + data.length);
  new DataView(out.buffer).setBigUint64(0, BigInt(length ?? text.length), true);
  out.set(text, 8);
  out.set(data, 8 + text.length);
  return out;
}

export function writeSafetensors(tensors: TestTensors): Uint8Array {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    const bytes = encodeElements(dtype, tensor(dtype, shape, Array.from(data)).data);
    header[name] = { dtype: dtype.toUpperCase(), shape, data_offsets: [at, at + bytes.length] };
    parts.push(bytes);
    at += bytes.length;
  }
  const data = new Uint8Array(at);
  let to = 0;
  for (const part of parts) {
    data.set(part, to);
    to += part.length;
  }
  return safetensorsFile(JSON.stringify(header), data);
}

export const json = (value: unknown): Uint8Array => utf8.encode(JSON.stringify(value));
export const text = (value: string): Uint8Array => utf8.encode(value);

/** A checkpoint's folder. */
export const checkpointFiles = (
  config: unknown,
  tensors: TestTensors,
  more: Readonly<Record<string, Uint8Array>> = {},
): FileSet =>
  memoryFiles("model", {
    "config.json": json(config),
    "model.safetensors": writeSafetensors(tensors),
    ...more,
  });

/** A generator of numbers that are the same on every run. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
