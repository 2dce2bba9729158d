import { describe, expect, it } from "vitest";
import type { Diagnostic } from "../../src/errors.ts";
import { readSafetensors } from "../../src/frontend/checkpoint/safetensors.ts";
import { dtypes } from "../../src/tensor/dtype.ts";
import { decodeNpy, encodeNpy } from "../../src/tensor/npy.ts";
import { encodeSafetensors } from "../../src/tensor/safetensors-writer.ts";
import { bytesSource } from "../../src/tensor/source.ts";
import { decodeElements, tensor } from "../../src/tensor/tensor.ts";

/** A .npy file as NumPy writes it, from its header. */
function npyFile(header: string, elements: readonly number[], version = 1): Uint8Array {
  const text = new TextEncoder().encode(header);
  const length = version === 1 ? [text.length & 255, text.length >> 8] : [text.length, 0, 0, 0];
  return Uint8Array.from([
    0x93,
    ...new TextEncoder().encode("NUMPY"),
    version,
    0,
    ...length,
    ...text,
    ...elements,
  ]);
}

describe(".npy files", () => {
  it.each(["f64", "f32", "f16", "i64", "i32", "i16", "i8", "u64", "u32", "u16", "u8", "bool"] as const)(
    "hold %s tensors",
    (dtype) => {
      const value = tensor(dtype, [2, 3], [0, 1, 1, 0, 1, 0]);
      expect(decodeNpy("x.npy", encodeNpy(value))).toEqual(value);
    },
  );

  it.each([[[]], [[4]], [[1, 2, 2]], [[0, 3]]])("hold shape %j", (shape) => {
    const value = tensor("f32", shape);
    expect(decodeNpy("x.npy", encodeNpy(value)).shape).toEqual(shape);
  });

  it("are laid out as NumPy lays them out", () => {
    const file = encodeNpy(tensor("f32", [3], [1, 2, 3]));
    const header = new TextDecoder().decode(file.subarray(10, file.length - 12));
    expect([...file.subarray(0, 8)]).toEqual([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0]);
    expect(file.length % 64).toBe(12);
    expect(header).toMatch(/^\{'descr': '<f4', 'fortran_order': False, 'shape': \(3,\), \} *\n$/);
  });

  it("of versions 2 and 3 are read", () => {
    const header = "{'descr': '<i4', 'fortran_order': False, 'shape': (1,), }\n";
    expect([...decodeNpy("x.npy", npyFile(header, [5, 0, 0, 0], 2)).data]).toEqual([5]);
    expect([...decodeNpy("x.npy", npyFile(header, [5, 0, 0, 0], 3)).data]).toEqual([5]);
  });

  it("hold types that NumPy lacks as wider ones", () => {
    expect(decodeNpy("x.npy", encodeNpy(tensor("bf16", [2], [1.5, -2]))).dtype).toBe("f32");
    expect([...decodeNpy("x.npy", encodeNpy(tensor("i4", [2], [-8, 7]))).data]).toEqual([-8, 7]);
  });

  const good = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }\n";
  it.each([
    ["other bytes", Uint8Array.of(1, 2, 3)],
    ["a cut header", npyFile(good, []).subarray(0, 20)],
    ["cut elements", npyFile(good, [0, 0, 0])],
    ["big-endian elements", npyFile(good.replace("<f4", ">f4"), [0, 0, 0, 0])],
    ["objects", npyFile(good.replace("<f4", "|O"), [0, 0, 0, 0])],
    ["column order", npyFile(good.replace("False", "True").replace("(1,)", "(1, 1)"), [0, 0, 0, 0])],
    ["a negative size", npyFile(good.replace("(1,)", "(-1,)"), [0, 0, 0, 0])],
    ["no shape", npyFile(good.replace("shape", "form"), [0, 0, 0, 0])],
  ])("with %s are refused", (_, bytes) => {
    expect(() => decodeNpy("x.npy", bytes)).toThrow(/error\[npy\][\s\S]*x\.npy/);
  });
});

describe("encodeSafetensors", () => {
  it("writes what the checkpoint frontend reads", async () => {
    const tensors = {
      logits: tensor("f32", [2, 3], [1, -2, 3, 0.5, 5, 6]),
      ids: tensor("i64", [2], [7, 8]),
      half: tensor("bf16", [1], [1.5]),
    };
    const file = encodeSafetensors(tensors);
    const faults: Diagnostic[] = [];
    const stored = await readSafetensors(bytesSource("out", file), "out.safetensors", faults);
    expect(faults).toEqual([]);
    for (const [name, value] of Object.entries(tensors)) {
      const found = stored.find((entry) => entry.name === name)!;
      const bytes = await found.bytes.read(0, found.bytes.size);
      expect({
        dtype: found.dtype,
        shape: found.shape,
        data: decodeElements(found.dtype, bytes, value.data.length),
      }).toEqual(value);
    }
  });

  it("refuses types that the format lacks", () => {
    expect(dtypes).toContain("tq2_0");
    expect(() => encodeSafetensors({ x: tensor("tq2_0", [1], Uint8Array.of(0)) })).toThrow(/tq2_0/);
  });
});
