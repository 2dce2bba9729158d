import { test } from "vitest";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { counted, expectAsReference, type NodeCase } from "./portable-compare.ts";

const own = ["reflect", "edge", "wrap"] as const;
const scalar = (dtype: Tensor["dtype"], value: number): Tensor => tensor(dtype, [], [value]);
const sizes = (...list: readonly number[]) => list.map((size) => ({ x: counted("f32", 2, size, 3) }));

const cases: readonly NodeCase[] = [
  {
    name: "nothing but zeros",
    inputs: { x: "f32[2, S, 3]" },
    given: { p: "const i64[6] {0, 2, 1, 1, 0, 2}" },
    node: 'pad(x: %x, pads: %p) {"mode":"constant"} : f32[3, S + 2, 6]',
    calls: sizes(4, 1),
  },
  ...(
    [
      ["f32", "-Infinity"],
      ["f32", "NaN"],
      ["f16", "0.5"],
      ["bf16", "-2"],
      ["f64", "1e300"],
      ["i64", "-9007199254740991"],
      ["i64", "9223372036854775807"],
      ["i8", "-128"],
      ["u8", "255"],
      ["bool", "1"],
    ] as const
  ).map(([dtype, value]) => ({
    name: `${value} among ${dtype}`,
    inputs: { x: `${dtype}[S, 2]` },
    given: { p: "const i64[4] {1, 0, 0, 1}", v: `const ${dtype}[] {${value}}` },
    node: `pad(x: %x, pads: %p, value: %v) {"mode":"constant"} : ${dtype}[S + 1, 3]`,
    calls: [{ x: counted(dtype, 3, 2) }],
  })),
  {
    name: "elements are left out and added",
    inputs: { x: "f32[2, S, 3]" },
    given: { p: "const i64[6] {0, -1, 2, -1, 3, -1}", v: "const f32[] {9}" },
    node: 'pad(x: %x, pads: %p, value: %v) {"mode":"constant"} : f32[1, S + 2, 4]',
    calls: sizes(4, 2),
  },
  {
    name: "as many as a size says, which may be fewer than none",
    inputs: { x: "f32[2, 3]", y: "f32[S]" },
    given: { p: "dims [0, S - 4, S, 3 - S] : i64[4]", v: "const f32[] {9}" },
    node: 'pad(x: %x, pads: %p, value: %v) {"mode":"constant"} : f32[S + 2, 2]',
    calls: [1, 3, 4, 6].map((size) => ({ x: counted("f32", 2, 3), y: counted("f32", size) })),
  },
  ...(
    [
      ["f32", Number.NaN],
      ["i64", -5],
      ["bool", 1],
    ] as const
  ).map(([dtype, value]) => ({
    name: `a value of ${dtype} that is an input`,
    inputs: { x: `${dtype}[2, S]`, v: `${dtype}[]` },
    given: { p: "const i64[4] {0, 1, 1, -1}" },
    node: `pad(x: %x, pads: %p, value: %v) {"mode":"constant"} : ${dtype}[3, S]`,
    calls: [3, 1].map((size) => ({ x: counted(dtype, 2, size), v: scalar(dtype, value) })),
  })),
  {
    name: "elements are only left out",
    inputs: { x: "f32[2, S, 3]" },
    given: { p: "const i64[6] {-1, 0, 0, 0, -1, -2}" },
    node: 'pad(x: %x, pads: %p) {"mode":"constant"} : f32[1, S - 1, 1]',
    calls: sizes(4, 2),
  },
  ...own.flatMap((mode) => [
    {
      name: `${mode}, known sizes`,
      inputs: { x: "i64[4, 3]", y: "f32[S]" },
      given: { p: "const i64[4] {2, 7, -1, 8}" },
      node: `pad(x: %x, pads: %p) {"mode":"${mode}"} : i64[5, 18]`,
      calls: [{ x: counted("i64", 4, 3), y: counted("f32", 1) }],
    },
    {
      name: `${mode}, an axis of unknown size`,
      inputs: { x: "f32[2, S, 3]" },
      given: { p: "const i64[6] {0, 3, 0, 0, 5, 1}" },
      node: `pad(x: %x, pads: %p) {"mode":"${mode}"} : f32[2, S + 8, 4]`,
      calls: sizes(4, 3, 2, 1),
    },
    {
      name: `${mode}, perhaps until nothing is left`,
      inputs: { x: "f32[3]", y: "f32[S]" },
      given: { p: "dims [-2, S - 2] : i64[2]" },
      node: `pad(x: %x, pads: %p) {"mode":"${mode}"} : f32[S - 1]`,
      calls: [4, 2, 1].map((size) => ({ x: counted("f32", 3), y: counted("f32", size) })),
    },
    {
      name: `${mode}, by a size`,
      inputs: { x: "bool[3]", y: "f32[S]" },
      given: { p: "dims [S - 2, S] : i64[2]" },
      node: `pad(x: %x, pads: %p) {"mode":"${mode}"} : bool[2*S + 1]`,
      calls: [8, 2, 1].map((size) => ({ x: counted("bool", 3), y: counted("f32", size) })),
    },
  ]),
];

test.each(cases.map((each) => [each.name, each] as const))("%s", (_, each) => expectAsReference(each));
