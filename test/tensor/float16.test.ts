import { describe, expect, test } from "vitest";
import {
  bfloat16ToFloat32,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
} from "../../src/tensor/float16.ts";

const words = Uint32Array.of(0);
const floats = new Float32Array(words.buffer);
/** The f32 number that lies `steps` numbers further from zero. */
function outward(value: number, steps: number): number {
  floats[0] = value;
  words[0] = words[0]! + steps;
  return floats[0]!;
}

interface Format {
  readonly widen: (bits: number) => number;
  readonly narrow: (value: number) => number;
  /** Bits of positive infinity. */
  readonly infinity: number;
  /** The exponent of the smallest subnormal number, and the number of fraction bits. */
  readonly smallest: number;
  readonly fractionBits: number;
}
const formats: Readonly<Record<string, Format>> = {
  f16: {
    widen: float16ToFloat32,
    narrow: float32ToFloat16,
    infinity: 0x7c00,
    smallest: -24,
    fractionBits: 10,
  },
  bf16: {
    widen: bfloat16ToFloat32,
    narrow: float32ToBfloat16,
    infinity: 0x7f80,
    smallest: -133,
    fractionBits: 7,
  },
};

/** The patterns for which a check fails: one assertion for 65536 of them. */
const failing = (check: (bits: number) => boolean, count = 0x10000): number[] =>
  Array.from({ length: count }, (_, bits) => bits).filter((bits) => !check(bits));

describe.each(Object.entries(formats))("%s", (_, { widen, narrow, infinity, smallest, fractionBits }) => {
  test("every pattern comes back as it was, NaN as some NaN of its sign", () => {
    const isNaNPattern = (bits: number) => (bits & 0x7fff) > infinity;
    expect(
      failing((bits) => {
        const back = narrow(widen(bits));
        return isNaNPattern(bits) ? isNaNPattern(back) && Number.isNaN(widen(bits)) : back === bits;
      }),
    ).toEqual([]);
  });

  test("numbers grow with their patterns, by the step of their exponent", () => {
    expect(widen(0)).toBe(0);
    expect(widen(1)).toBe(2 ** smallest);
    expect(
      failing((bits) => {
        const exponent = Math.max(1, bits >> fractionBits);
        return widen(bits + 1) - widen(bits) === 2 ** (smallest + exponent - 1);
      }, infinity - 1),
    ).toEqual([]);
  });

  test("the upper half is the lower half negated", () => {
    expect(failing((bits) => Object.is(widen(bits | 0x8000), -widen(bits)), infinity + 1)).toEqual([]);
  });

  test.each([0, 0x8000])(
    "ties go to the even neighbour, anything else to the nearer one; sign %#",
    (sign) => {
      const step = widen(infinity - 1) - widen(infinity - 2);
      expect(
        failing((bits) => {
          const low = widen(bits | sign);
          // infinity stands where the next number would be
          const high =
            bits + 1 === infinity ? Math.sign(low) * (Math.abs(low) + step) : widen((bits + 1) | sign);
          const middle = (low + high) / 2;
          const even = (bits & 1) === 0 ? bits : bits + 1;
          return (
            narrow(middle) === (even | sign) &&
            narrow(outward(middle, -1)) === (bits | sign) &&
            narrow(outward(middle, 1)) === ((bits + 1) | sign)
          );
        }, infinity),
      ).toEqual([]);
    },
  );

  test("what is too large is infinite, what is too small is zero, with its sign", () => {
    expect([Infinity, -Infinity, 3.4e38 * 10, 2 ** 129].map(narrow)).toEqual([
      infinity,
      infinity | 0x8000,
      infinity,
      infinity,
    ]);
    expect([0, -0, 2 ** (smallest - 2), -(2 ** (smallest - 2))].map(narrow)).toEqual([0, 0x8000, 0, 0x8000]);
    expect(widen(narrow(Number.NaN))).toBeNaN();
  });
});

test.each([
  [0x3c00, 1],
  [0x3555, 0.333251953125],
  [0x7bff, 65504],
  [0x0400, 2 ** -14],
  [0x03ff, 2 ** -14 - 2 ** -24],
  [0xc248, -3.140625],
])("f16 %i is %d", (bits, value) => {
  expect(float16ToFloat32(bits)).toBe(value);
  expect(float32ToFloat16(value)).toBe(bits);
});

test.each([
  [0x3f80, 1],
  [0x4049, 3.140625],
  [0xbf00, -0.5],
  [0x7f7f, 2 ** 128 - 2 ** 120],
])("bf16 %i is %d", (bits, value) => {
  expect(bfloat16ToFloat32(bits)).toBe(value);
  expect(float32ToBfloat16(value)).toBe(bits);
});
