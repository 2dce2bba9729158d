import { describe, expect, test } from "vitest";
import type { DType } from "../../src/tensor/dtype.ts";
import { isFloat } from "../../src/tensor/dtype.ts";
import { elementCount, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { counted, expectAsReference, type NodeCase, refusalOf } from "./portable-compare.ts";
import { graphOf, runPortable, runReference } from "./portable-run.ts";

const { NaN: nan, POSITIVE_INFINITY: inf } = Number;

/** Few different numbers, in no order; signed where the type is. */
function mixed(dtype: DType, ...shape: number[]): Tensor {
  const least = dtype === "u8" || dtype === "bool" ? 0 : -2;
  const numbers = Array.from({ length: elementCount(shape) }, (_, i) => ((i * i * 7 + i * 3) % 5) + least);
  return tensor(dtype, shape, dtype === "bool" ? numbers.map((each) => Number(each === 3)) : numbers);
}

const numberTypes = ["f64", "f32", "f16", "bf16", "i64", "i32", "i16", "i8", "u8"] as const;
const lengths = [5, 1, 3];
const calls = (dtype: DType) => lengths.map((length) => ({ x: mixed(dtype, 2, length, 3) }));

const over = (op: string, dtype: DType, axes: string, keepdims: boolean, shape: string): NodeCase => ({
  name: `${op} of ${dtype} over ${axes}`,
  inputs: { x: `${dtype}[2, S, 3]` },
  node: `${op}(x: %x) {"axes":${axes},"keepdims":${keepdims}} : ${dtype}[${shape}]`,
  calls: calls(dtype),
});
const reductions = (op: string, dtype: DType): readonly NodeCase[] => [
  over(op, dtype, "[1]", false, "2, 3"),
  over(op, dtype, "[-1]", true, "2, S, 1"),
  over(op, dtype, "[2,0]", false, "S"),
  over(op, dtype, "[0,1,2]", true, "1, 1, 1"),
  over(op, dtype, "[]", true, "2, S, 3"),
];

describe("reductions", () => {
  const all = [
    ...["reduce_max", "reduce_min"].flatMap((op) =>
      [...numberTypes, "bool" as const].flatMap((dtype) => reductions(op, dtype)),
    ),
    ...["reduce_sum", "reduce_prod"].flatMap((op) => numberTypes.flatMap((dtype) => reductions(op, dtype))),
    ...numberTypes
      .filter((dtype) => !isFloat(dtype))
      .flatMap((dtype) =>
        reductions("reduce_mean", dtype).map((each) => ({
          ...each,
          calls: [...each.calls, { x: tensor(dtype, [2, 1, 3], [100, 100, 101, -7, -8, -7]) }],
        })),
      ),
  ];
  test.each(all.map((each) => [each.name, each] as const))("%s", (_, each) => expectAsReference(each));

  test.each(["f32", "f16"] as const)("NaN is the largest and the smallest: %s", async (dtype) => {
    const x = tensor(dtype, [2, 1, 3], [1, nan, 3, inf, 0, -inf]);
    for (const op of ["reduce_max", "reduce_min"])
      await expectAsReference({ ...over(op, dtype, "[2]", false, "2, S"), calls: [{ x }] });
  });

  test("a product that 16 bits do not hold halfway", () =>
    expectAsReference({
      ...over("reduce_prod", "f16", "[1,2]", false, "2"),
      calls: [{ x: tensor("f16", [2, 1, 3], [60000, 60000, 1 / 16384, 1 / 16384, 1 / 16384, 60000]) }],
    }));

  test.each(["reduce_max", "reduce_min", "reduce_sum", "reduce_prod"])("%s of nothing", (op) =>
    expectAsReference({
      name: op,
      inputs: { x: "f32[2, 0, S]" },
      node: `${op}(x: %x) {"axes":[1],"keepdims":false} : f32[2, S]`,
      calls: [{ x: counted("f32", 2, 0, 4) }],
    }),
  );

  test.each(["reduce_max", "reduce_min", "reduce_mean"])("%s of no integers is refused", (op) => {
    const node = `${op}(x: %x) {"axes":[1],"keepdims":false} : i64[2]`;
    expect(refusalOf({ inputs: { x: "i64[2, 0]" }, node })).toContain("no elements");
  });
});

describe("the index of the best", () => {
  const best = (op: string, dtype: DType, attrs: string, shape: string): NodeCase => ({
    name: `${op} of ${dtype} ${attrs}`,
    inputs: { x: `${dtype}[2, S, 3]` },
    node: `${op}(x: %x) {${attrs}} : i64[${shape}]`,
    calls: calls(dtype),
  });
  const all = ["argmax", "argmin"].flatMap((op) =>
    numberTypes.flatMap((dtype) =>
      ["true", "false"].flatMap((last) => [
        best(op, dtype, `"axis":1,"keepdims":true,"last":${last}`, "2, 1, 3"),
        best(op, dtype, `"axis":-1,"keepdims":false,"last":${last}`, "2, S"),
      ]),
    ),
  );
  test.each(all.map((each) => [each.name, each] as const))("%s", (_, each) => expectAsReference(each));

  test.each(["argmax", "argmin"])("NaN comes before numbers: %s", async (op) => {
    const x = tensor(
      "f32",
      [2, 4, 3],
      [...[1, nan, inf], ...[nan, nan, -inf], ...[nan, 5, nan], ...[2, 2, 2]].concat([
        inf,
        0,
        -inf,
        inf,
        0,
        -inf,
        1,
        0,
        1,
        inf,
        0,
        -inf,
      ]),
    );
    for (const last of [true, false])
      await expectAsReference({
        ...best(op, "f32", `"axis":1,"keepdims":false,"last":${last}`, "2, 3"),
        calls: [{ x }],
      });
  });

  test("of an axis without elements there is none", () => {
    const node = 'argmax(x: %x) {"axis":1,"keepdims":false,"last":false} : i64[2]';
    expect(refusalOf({ inputs: { x: "f32[2, 0]" }, node })).toContain("no elements");
  });
});

describe("cumsum", () => {
  const all = numberTypes.flatMap((dtype) =>
    [1, -1, 0].flatMap((axis) =>
      ["true", "false"].flatMap((exclusive) =>
        ["true", "false"].map(
          (reverse): NodeCase => ({
            name: `${dtype}, axis ${axis}, exclusive ${exclusive}, reverse ${reverse}`,
            inputs: { x: `${dtype}[2, S, 3]` },
            node: `cumsum(x: %x) {"axis":${axis},"exclusive":${exclusive},"reverse":${reverse}} : ${dtype}[2, S, 3]`,
            calls: calls(dtype),
          }),
        ),
      ),
    ),
  );
  test.each(all.map((each) => [each.name, each] as const))("%s", (_, each) => expectAsReference(each));

  test("an element that is left out is not subtracted again", () =>
    expectAsReference({
      name: "cumsum",
      inputs: { x: "f32[S]" },
      node: 'cumsum(x: %x) {"axis":0,"exclusive":true,"reverse":false} : f32[S]',
      calls: [{ x: tensor("f32", [4], [1, inf, 2, 3]) }],
    }));

  test("of 16-bit floats each sum is rounded once", () =>
    expectAsReference({
      name: "cumsum",
      inputs: { x: "f16[S]" },
      node: 'cumsum(x: %x) {"axis":0,"exclusive":false,"reverse":false} : f16[S]',
      calls: [{ x: tensor("f16", [6], [2048, 1, 1, 1, 1, 1]) }],
    }));

  test("integers wrap", () =>
    expectAsReference({
      name: "cumsum",
      inputs: { x: "i8[S]" },
      node: 'cumsum(x: %x) {"axis":0,"exclusive":false,"reverse":true} : i8[S]',
      calls: [{ x: tensor("i8", [4], [100, 100, -3, 100]) }],
    }));
});

describe("topk", () => {
  /** Both results, for each of the inputs. */
  async function expectTopk(
    type: string,
    k: string,
    attrs: string,
    shape: string,
    inputs: readonly Tensor[],
  ) {
    const dtype = type.slice(0, type.indexOf("["));
    const graph = graphOf(
      [
        "symbol S 1..80",
        `%0 = input "x" : ${type}`,
        `%1 = ${k}`,
        `%2, %3 = topk(x: %0, k: %1) {${attrs}} : ${dtype}[${shape}], i64[${shape}]`,
        'output "values" %2',
        'output "indices" %3',
        "",
      ].join("\n"),
    );
    const [ours, theirs] = [await runPortable(graph), await runReference(graph)];
    for (const x of inputs) expect(await ours({ x })).toEqual(await theirs({ x }));
  }

  test.each(numberTypes.flatMap((dtype) => [true, false].map((largest) => [dtype, largest] as const)))(
    "of %s, largest: %s",
    async (dtype, largest) => {
      const x = [5, 3].map((length) => mixed(dtype, 2, length, 3));
      const two = "const i64[1] {2}";
      await expectTopk(`${dtype}[2, S, 3]`, two, `"axis":1,"largest":${largest}`, "2, 2, 3", x);
      await expectTopk(`${dtype}[2, S, 3]`, two, `"axis":-1,"largest":${largest}`, "2, S, 2", x);
    },
  );

  test.each([true, false])("NaN is the largest number, largest: %s", async (largest) => {
    const x = tensor("f32", [8], [nan, 1, inf, nan, -inf, 1, nan, inf]);
    for (const k of [1, 2, 3, 5, 8])
      await expectTopk("f32[S]", `const i64[1] {${k}}`, `"axis":0,"largest":${largest}`, `${k}`, [x]);
  });

  test.each([true, false])("all of an axis, and a part that sizes say, largest: %s", async (largest) => {
    const x = [1, 2, 7, 70].map((length) => mixed("f32", length, 2));
    const attrs = `"axis":0,"largest":${largest}`;
    await expectTopk("f32[S, 2]", "dims [S] : i64[1]", attrs, "S, 2", x);
    await expectTopk("f32[S, 2]", "const i64[1] {1}", attrs, "1, 2", x);
    await expectTopk("f32[S, 2]", "dims [floordiv(S + 1, 2)] : i64[1]", attrs, "floordiv(S + 1, 2), 2", x);
  });

  test("the only one, and none", async () => {
    const x = mixed("f32", 4, 1);
    await expectTopk("f32[S, 1]", "const i64[1] {1}", '"axis":1,"largest":true', "S, 1", [x]);
    await expectTopk("f32[S, 1]", "const i64[1] {0}", '"axis":1,"largest":true', "S, 0", [x]);
  });

  test("of many equal ones the first", async () => {
    const x = tensor(
      "i32",
      [80],
      new Int32Array(80).fill(3).map((each, i) => each + Number(i % 9 === 4)),
    );
    for (const k of [1, 12, 40])
      await expectTopk("i32[S]", `const i64[1] {${k}}`, '"axis":0,"largest":true', `${k}`, [x]);
  });
});
