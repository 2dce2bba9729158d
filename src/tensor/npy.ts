import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import type { DType } from "./dtype.ts";
import { byteLength, decodeElements, elementCount, encodeElements, type Tensor, tensor } from "./tensor.ts";

/** NumPy's type strings without the byte order. */
const descriptors: { readonly [D in DType]?: string } = {
  f64: "f8",
  f32: "f4",
  f16: "f2",
  i64: "i8",
  i32: "i4",
  i16: "i2",
  i8: "i1",
  u64: "u8",
  u32: "u4",
  u16: "u2",
  u8: "u1",
  bool: "b1",
};

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

/**
 * Reads a .npy file of version 1, 2 or 3 (NumPy enhancement proposal 1 and numpy.lib.format): six bytes of
 * magic, a version, the header's length, a Python dict as text, then the elements.
 * @param name what errors call the file
 * @throws BitnetcError `npy`
 */
export function decodeNpy(name: string, bytes: Uint8Array): Tensor {
  const fail = (why: string) => new BitnetcError(diagnostics.npy(name, why));
  if (magic.some((byte, i) => bytes[i] !== byte)) throw fail("it does not begin as one");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const lengthBytes = bytes[6] === 1 ? 2 : 4;
  const start = 8 + lengthBytes;
  if (bytes.byteLength < start) throw fail("it ends within its header");
  const length = lengthBytes === 2 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (bytes.byteLength < start + length) throw fail("it ends within its header");
  const header = new TextDecoder().decode(bytes.subarray(start, start + length));
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(header)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(header)?.[1];
  const sizes = /'shape'\s*:\s*\(([^)]*)\)/.exec(header)?.[1];
  if (descr === undefined || order === undefined || sizes === undefined)
    throw fail("its header cannot be read");
  const shape = sizes.split(",").flatMap((size) => (size.trim() === "" ? [] : [Number(size)]));
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0)) throw fail("its shape cannot be read");
  const code = descr.slice(1);
  const dtype = (Object.keys(descriptors) as DType[]).find((candidate) => descriptors[candidate] === code);
  if (dtype === undefined || !"<|=".includes(descr[0]!)) throw fail(`it holds elements of type ${descr}`);
  if (order === "True" && shape.length > 1) throw fail("its elements are in column order");
  const count = elementCount(shape);
  const need = byteLength(dtype, count);
  if (bytes.byteLength - start - length < need) throw fail(`${need} bytes of elements are expected`);
  return tensor(dtype, shape, decodeElements(dtype, bytes.subarray(start + length), count));
}

/**
 * Writes a .npy file of version 1. Types that NumPy lacks are widened: bf16 to f32, 2- and 4-bit integers
 * to 8 bits, packed ternary weights to their bytes.
 */
export function encodeNpy({ dtype, shape, data }: Tensor): Uint8Array<ArrayBuffer> {
  const stored = widened[dtype] ?? dtype;
  const code = descriptors[stored];
  if (code === undefined) throw new Error(`.npy has no type for ${dtype}`);
  const size = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
  const order = code.endsWith("1") ? "|" : "<";
  const header = `{'descr': '${order}${code}', 'fortran_order': False, 'shape': (${size}), }`;
  // The elements begin at a multiple of 64; the header ends in a newline.
  const length = Math.ceil((10 + header.length + 1) / 64) * 64 - 10;
  const elements = encodeElements(stored, data);
  const file = new Uint8Array(10 + length + elements.byteLength);
  file.set(magic);
  file[6] = 1;
  new DataView(file.buffer).setUint16(8, length, true);
  file.set(new TextEncoder().encode(`${header.padEnd(length - 1)}\n`), 10);
  file.set(elements, 10 + length);
  return file;
}

const widened: { readonly [D in DType]?: DType } = {
  bf16: "f32",
  i4: "i8",
  i2: "i8",
  u4: "u8",
  u2: "u8",
  tq2_0: "u8",
  tq1_0: "u8",
};
