import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BitnetcError } from "../../src/errors.ts";
import { packedRowBytes, packTernary, unpackTernary, unpackTernaryBlocks } from "../../src/packing/index.ts";
import type { TernaryDType } from "../../src/tensor/dtype.ts";
import { float32ToFloat16 } from "../../src/tensor/float16.ts";

const dtypes: readonly TernaryDType[] = ["tq2_0", "tq1_0"];

/**
 * The formats once more, one element at a time: the weight of element `e` of a block, from its 66 or 54 bytes.
 * Written from ggml's decoder (shift and mask; multiply by 3^n mod 256, then by 3 and take the carry).
 */
const naiveCode: { readonly [D in TernaryDType]: (block: Uint8Array, e: number) => number } = {
  tq2_0: (block, e) =>
    ((block[32 * Math.floor(e / 128) + (e % 32)]! >> (2 * Math.floor((e % 128) / 32))) & 3) - 1,
  tq1_0: (block, e) => {
    const [byte, digit] =
      e < 160
        ? [e % 32, Math.floor(e / 32)]
        : e < 240
          ? [32 + ((e - 160) % 16), Math.floor((e - 160) / 16)]
          : [48 + ((e - 240) % 4), Math.floor((e - 240) / 4)];
    return ((((block[byte]! * 3 ** digit) % 256) * 3) >> 8) - 1;
  },
};
const naiveBlockBytes = { tq2_0: 66, tq1_0: 54 };

const matrix = fc
  .record({ rows: fc.integer({ min: 1, max: 4 }), columns: fc.integer({ min: 1, max: 600 }) })
  .chain(({ rows, columns }) =>
    fc.record({
      rows: fc.constant(rows),
      columns: fc.constant(columns),
      codes: fc.int8Array({ minLength: rows * columns, maxLength: rows * columns, min: -1, max: 1 }),
    }),
  );

describe.each(dtypes)("%s", (dtype) => {
  it("packs what the naive definition reads, with zeros as padding", () => {
    fc.assert(
      fc.property(matrix, ({ rows, columns, codes }) => {
        const bytes = packTernary(dtype, codes, rows, columns);
        const blocks = Math.ceil(columns / 256);
        const size = naiveBlockBytes[dtype];
        expect(bytes.length).toBe(rows * blocks * size);
        for (let row = 0; row < rows; row++) {
          for (let b = 0; b < blocks; b++) {
            const block = bytes.subarray((row * blocks + b) * size, (row * blocks + b + 1) * size);
            expect(block[size - 2]! + 256 * block[size - 1]!).toBe(0x3c00);
            for (let e = 0; e < 256; e++) {
              const column = 256 * b + e;
              const want = column < columns ? codes[row * columns + column]! : 0;
              if (naiveCode[dtype](block, e) !== want)
                expect.fail(`row ${row}, column ${column} is not ${want}`);
            }
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  it("unpacks what it packs, with its block scales", () => {
    fc.assert(
      fc.property(
        matrix,
        fc.array(fc.integer({ min: -1024, max: 1024 })),
        ({ rows, columns, codes }, numerators) => {
          const scales = new Float32Array(rows * Math.ceil(columns / 256)).map(
            (_, i) => (numerators[i] ?? i) / 64,
          );
          const read = unpackTernaryBlocks(
            dtype,
            packTernary(dtype, codes, rows, columns, scales),
            rows,
            columns,
          );
          expect(read.codes).toEqual(codes);
          expect(read.scales).toEqual(scales);
          expect(unpackTernary(dtype, packTernary(dtype, codes, rows, columns), rows, columns)).toEqual(
            codes,
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  it("refuses scales that fp16 cannot hold", () => {
    for (const scale of [0.1, 1 + 2 ** -11, 65520, 2 ** -25, Number.NaN, Number.POSITIVE_INFINITY]) {
      const pack = () => packTernary(dtype, new Int8Array(256), 1, 256, scale);
      expect(pack, String(scale)).toThrow(BitnetcError);
      expect(pack, String(scale)).toThrow("packing-scale-inexact");
    }
    expect(() => packTernary(dtype, new Int8Array(256), 1, 256, 2 ** -24)).not.toThrow();
  });

  it("refuses codes that are not ternary and lists that do not fit the shape", () => {
    expect(() => packTernary(dtype, Int8Array.of(0, 2), 1, 2)).toThrow("code 2 at 1");
    expect(() => packTernary(dtype, Int8Array.of(0, 1), 1, 3)).toThrow(RangeError);
    expect(() => packTernary(dtype, Int8Array.of(0, 1), 2, 1, Float32Array.of(1))).toThrow(RangeError);
  });

  it("refuses to read a file cut short, and scales other than 1 where codes alone are asked for", () => {
    const bytes = packTernary(dtype, Int8Array.of(1, -1, 0), 1, 3, 0.5);
    expect(() => unpackTernary(dtype, bytes.subarray(0, bytes.length - 1), 1, 3)).toThrow(
      "packing-truncated",
    );
    expect(() => unpackTernary(dtype, bytes, 1, 3)).toThrow("packing-scale");
    const zeros = packTernary(dtype, new Int8Array(3), 1, 3, 0);
    expect(unpackTernary(dtype, zeros, 1, 3)).toEqual(new Int8Array(3));
  });

  it("has rows of whole blocks", () => {
    const size = naiveBlockBytes[dtype];
    expect([1, 256, 257, 768, 6912].map((columns) => packedRowBytes(dtype, columns) / size)).toEqual([
      1, 1, 2, 3, 27,
    ]);
  });
});

describe("tq2_0 bytes", () => {
  it("puts element e at byte 32⌊e/128⌋ + e mod 32, bits 2⌊(e mod 128)/32⌋", () => {
    const codes = new Int8Array(256);
    codes[0] = 1; //   byte 0, bits 0-1: code 2 = 10
    codes[32] = -1; // byte 0, bits 2-3: code 0 = 00
    codes[64] = 1; //  byte 0, bits 4-5: code 2 = 10
    codes[96] = 0; //  byte 0, bits 6-7: code 1 = 01    byte 0: 01 10 00 10 = 0x62
    codes[31] = -1; // byte 31, bits 0-1: 00; the other three are zeros, code 1:  01 01 01 00 = 0x54
    codes[128] = 1; // byte 32, bits 0-1: 10                                      01 01 01 10 = 0x56
    codes[255] = -1; // byte 32 + 31, shift 2·⌊127/32⌋ = 6: 00                    00 01 01 01 = 0x15
    const want = new Uint8Array(66).fill(0x55); // four zeros: 01 01 01 01
    want.set([0x62], 0);
    want.set([0x54], 31);
    want.set([0x56], 32);
    want.set([0x15], 63);
    want.set([0x00, 0x3c], 64); // fp16 1.0 = 0x3C00, low byte first
    expect(packTernary("tq2_0", codes, 1, 256)).toEqual(want);
  });

  it("refuses code 3, wherever it stands", () => {
    for (const shift of [0, 2, 4, 6]) {
      const bytes = packTernary("tq2_0", new Int8Array(512), 2, 256);
      bytes[66 + 40] = bytes[66 + 40]! | (3 << shift);
      expect(() => unpackTernary("tq2_0", bytes, 2, 256)).toThrow(/packing-code[\s\S]*row 1, block 0/);
    }
  });
});

describe("tq1_0 bytes", () => {
  it("puts five digits in a byte as ⌈v·256/243⌉, the first element most significant", () => {
    const codes = new Int8Array(256);
    // byte 0 holds elements 0, 32, 64, 96, 128: digits 2 0 1 2 1
    //   v = 2·81 + 0·27 + 1·9 + 2·3 + 1 = 178; 178·256 = 45568 = 187·243 + 127, so ⌈ ⌉ = 188
    codes.set([1], 0);
    codes.set([-1], 32);
    codes.set([0], 64);
    codes.set([1], 96);
    codes.set([0], 128);
    // byte 32 holds elements 160, 176, 192, 208, 224: digits 0 0 0 0 0, v = 0
    for (const e of [160, 176, 192, 208, 224]) codes[e] = -1;
    // byte 47 holds elements 175, 191, …, 239: digits 2 2 2 2 2
    //   v = 242; 242·256 = 61952 = 254·243 + 230, so ⌈ ⌉ = 255
    for (const e of [175, 191, 207, 223, 239]) codes[e] = 1;
    // byte 48 (qh[0]) holds elements 240, 244, 248, 252: digits 2 1 0 1, the last place 0
    //   v = 2·81 + 1·27 + 0·9 + 1·3 = 192; 192·256 = 49152 = 202·243 + 66, so ⌈ ⌉ = 203
    codes.set([1], 240);
    codes.set([-1], 248);
    // five zeros: digits 1 1 1 1 1, v = 121; 121·256 = 30976 = 127·243 + 115, so ⌈ ⌉ = 128
    // four zeros: digits 1 1 1 1 0, v = 120; 120·256 = 30720 = 126·243 + 102, so ⌈ ⌉ = 127
    const want = new Uint8Array(54).fill(128, 0, 48).fill(127, 48, 52);
    want.set([188], 0);
    want.set([0], 32);
    want.set([255], 47);
    want.set([203], 48);
    want.set([0x00, 0x38], 52); // fp16 0.5 = 0x3800
    expect(packTernary("tq1_0", codes, 1, 256, 0.5)).toEqual(want);
  });

  it("refuses the 13 bytes that no five digits make, and a last place in the four-digit bytes", () => {
    const written = new Set(Array.from({ length: 243 }, (_, v) => Math.ceil((v * 256) / 243)));
    for (let byte = 0; byte < 256; byte++) {
      const bytes = packTernary("tq1_0", new Int8Array(256), 1, 256);
      bytes[5] = byte;
      if (written.has(byte)) expect(() => unpackTernary("tq1_0", bytes, 1, 256)).not.toThrow();
      else expect(() => unpackTernary("tq1_0", bytes, 1, 256), String(byte)).toThrow("packing-code");
    }
    const bytes = packTernary("tq1_0", new Int8Array(256), 1, 256);
    bytes[51] = 128; // digits 1 1 1 1 1
    expect(() => unpackTernary("tq1_0", bytes, 1, 256)).toThrow("packing-code");
  });
});

it("keeps bf16 scales of usual size exactly, as fp16 has three more bits", () => {
  const codes = Int8Array.of(1);
  const scale = 0.01513671875; // 31 · 2^-11, a bf16 number
  const { scales } = unpackTernaryBlocks("tq2_0", packTernary("tq2_0", codes, 1, 1, scale), 1, 1);
  expect(scales[0]).toBe(scale);
  expect(float32ToFloat16(scale)).toBe(0x23c0);
});
