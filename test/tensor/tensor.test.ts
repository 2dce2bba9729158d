import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  bitsPerElement,
  type DType,
  dtypes,
  integerRange,
  isFloat,
  isTernaryBlock,
} from "../../src/tensor/dtype.ts";
import {
  allocate,
  byteLength,
  decodeElements,
  elementCount,
  encodeElements,
  roundToDType,
  scalarTensor,
  tensor,
  toInteger,
} from "../../src/tensor/tensor.ts";

const plain = dtypes.filter((dtype) => !isTernaryBlock(dtype));

/** Elements that `dtype` holds exactly. */
const elementOf = (dtype: DType): fc.Arbitrary<number> => {
  if (dtype === "bool") return fc.constantFrom(0, 1);
  if (dtype === "f64") return fc.double();
  if (isFloat(dtype))
    return fc.float().map((value) => {
      const one = Float32Array.of(value);
      roundToDType(dtype, one);
      return one[0]!;
    });
  const [low, high] = integerRange(dtype)!;
  return fc.integer({
    min: Math.max(low, Number.MIN_SAFE_INTEGER),
    max: Math.min(high, Number.MAX_SAFE_INTEGER),
  });
};

describe.each(plain)("elements of %s", (dtype) => {
  const elements = fc.array(elementOf(dtype), { maxLength: 13 });

  test("come back from their bytes, wherever these lie", () => {
    fc.assert(
      fc.property(elements, fc.nat(9), fc.nat(3), (list, offset, more) => {
        const { data } = tensor(dtype, [list.length], list);
        const bytes = encodeElements(dtype, data);
        expect(bytes.byteLength).toBe(byteLength(dtype, list.length));
        const larger = new Uint8Array(offset + bytes.byteLength + more).fill(0xff);
        larger.set(bytes, offset);
        const view = larger.subarray(offset);
        expect(Array.from(decodeElements(dtype, view, list.length))).toEqual(list);
        const shared = new Uint8Array(new SharedArrayBuffer(view.byteLength));
        shared.set(view);
        expect(Array.from(decodeElements(dtype, shared, list.length))).toEqual(list);
        expect(Array.from(decodeElements(dtype, Buffer.from(view), list.length))).toEqual(list);
      }),
    );
  });

  test("are decoded into memory of their own", () => {
    const bytes = new Uint8Array(byteLength(dtype, 8));
    const decoded = decodeElements(dtype, bytes, 8);
    bytes.fill(1);
    expect(Array.from(decoded)).toEqual(new Array(8).fill(0));
  });

  test("must all be there", () => {
    const bytes = new Uint8Array(byteLength(dtype, 5) - 1);
    expect(() => decodeElements(dtype, bytes, 5)).toThrow(RangeError);
  });
});

/** Little-endian, 2- and 4-bit elements from the low bits up. */
test.each<[DType, readonly number[], readonly number[]]>([
  ["i4", [-8, 7, 1], [0x78, 0x01]],
  ["u4", [1, 15, 9, 0], [0xf1, 0x09]],
  ["i2", [-2, -1, 0, 1, -1], [0b01_00_11_10, 0b11]],
  ["u2", [0, 1, 2, 3, 2], [0b11_10_01_00, 0b10]],
  ["i16", [-2], [0xfe, 0xff]],
  ["f16", [1, -2], [0x00, 0x3c, 0x00, 0xc0]],
  ["bf16", [1], [0x80, 0x3f]],
  ["f32", [1], [0, 0, 0x80, 0x3f]],
  ["i64", [-1, 2 ** 40], [255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0, 0, 1, 0, 0]],
  ["u64", [2 ** 63], [0, 0, 0, 0, 0, 0, 0, 0x80]],
  ["bool", [1, 0], [1, 0]],
])("%s %j are the bytes %j", (dtype, list, bytes) => {
  expect(Array.from(encodeElements(dtype, tensor(dtype, [list.length], list).data))).toEqual(bytes);
  expect(Array.from(decodeElements(dtype, Uint8Array.from(bytes), list.length))).toEqual(list);
});

test("any byte but 0 is true", () => {
  expect(Array.from(decodeElements("bool", Uint8Array.of(0, 1, 2, 255), 4))).toEqual([0, 1, 1, 1]);
});

/** The ends of the 64-bit types, as "as far as it goes" is written, lie between two f64 numbers. */
test.each<[DType, readonly number[]]>([
  ["i64", [255, 255, 255, 255, 255, 255, 255, 0x7f]],
  ["i64", [0, 0, 0, 0, 0, 0, 0, 0x80]],
  ["u64", [255, 255, 255, 255, 255, 255, 255, 255]],
])("the %s %j is what it was after decoding and encoding", (dtype, bytes) => {
  const decoded = decodeElements(dtype, Uint8Array.from(bytes), 1);
  expect(Array.from(encodeElements(dtype, decoded))).toEqual(bytes);
});

test("encoding shares memory where the layout is the same", () => {
  const { data } = tensor("f32", [2], [1, 2]);
  const bytes = encodeElements("f32", data.subarray(1));
  data[1] = 1;
  expect(Array.from(bytes)).toEqual([0, 0, 0x80, 0x3f]);
});

describe("toInteger", () => {
  const integers = plain.filter((dtype) => integerRange(dtype) !== undefined);

  test.each(integers)("wraps to %s as two's complement does", (dtype) => {
    const bits = bitsPerElement(dtype);
    const wrap = dtype.startsWith("u") ? BigInt.asUintN : BigInt.asIntN;
    const large = fc
      .tuple(fc.integer(), fc.integer({ min: 0, max: 70 }))
      .map(([mantissa, exponent]) => mantissa * 2 ** exponent);
    const edges = fc.constantFrom(...integerRange(dtype)!.flatMap((end) => [end - 1, end, end + 1]));
    fc.assert(
      fc.property(fc.oneof(large, edges, fc.double({ min: -1e6, max: 1e6, noNaN: true })), (value) => {
        // 2^63 and 2^64 stand for the largest number of their types
        fc.pre(bits < 64 || value !== integerRange(dtype)![1]);
        expect(toInteger(dtype, value)).toBe(Number(wrap(bits, BigInt(Math.trunc(value)))));
      }),
      { numRuns: 300 },
    );
  });

  test("takes what is no number for 0, and has no negative zero", () => {
    for (const dtype of integers)
      for (const value of [Number.NaN, Infinity, -Infinity, -0, -0.9, -(2 ** 70)])
        expect(Object.is(toInteger(dtype, value), 0)).toBe(true);
  });

  test("leaves numbers whole that their type does not bound", () => {
    expect(toInteger("f32", -300.7)).toBe(-300);
  });
});

describe("tensors", () => {
  test("are zeros, a list or given memory", () => {
    expect(Array.from(tensor("i8", [2, 2]).data)).toEqual([0, 0, 0, 0]);
    expect(tensor("i8", [2], [1, -1]).data).toEqual(Int8Array.of(1, -1));
    const memory = allocate("i64", 3);
    expect(tensor("i64", [3], memory).data).toBe(memory);
    expect(scalarTensor("bool", 1)).toEqual({ dtype: "bool", shape: [], data: Uint8Array.of(1) });
    expect(elementCount([])).toBe(1);
    expect(elementCount([3, 0])).toBe(0);
  });

  test("of 16-bit floats hold what these can represent", () => {
    expect(tensor("f16", [3], [0.1, 65520, 2 ** -25]).data).toEqual(
      Float32Array.of(0.0999755859375, Infinity, 0),
    );
    expect(tensor("bf16", [1], [0.1]).data).toEqual(Float32Array.of(0.10009765625));
  });

  test("of other types are not rounded", () => {
    const data = Float32Array.of(0.1);
    roundToDType("f32", data);
    expect(data).toEqual(Float32Array.of(0.1));
  });
});
