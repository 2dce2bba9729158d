import { test } from "vitest";
import { tensor } from "../../src/tensor/tensor.ts";
import { counted, expectAsReference, indices, type NodeCase } from "./portable-compare.ts";

const farAway = "-9223372036854775807";
const sizes = (...list: readonly number[]) => list.map((size) => ({ x: counted("f32", 2, size, 3) }));
const matrices = [
  { x: counted("i64", 2, 3, 4), k: indices([], 0) },
  { x: counted("i64", 2, 1, 4), k: indices([], 2) },
  { x: counted("i64", 2, 5, 4), k: indices([], -9) },
  { x: counted("i64", 2, 5, 4), k: indices([], 9) },
];

const backwards = (name: string, start: string, end: string, step: number, size: string): NodeCase => ({
  name: `slice backwards, ${name}`,
  inputs: { x: "f32[2, S, 3]" },
  given: { s: `dims [${start}] : i64[1]`, e: `dims [${end}] : i64[1]` },
  node: `slice(x: %x, starts: %s, ends: %e) {"axes":[1],"steps":[${step}]} : f32[2, ${size}, 3]`,
  calls: sizes(6, 5, 4, 1),
});

const cases: readonly NodeCase[] = [
  backwards("all", "-1", farAway, -1, "S"),
  backwards("a few", "-2", "-5", -1, "max(S - max(S - 5, -1) - 2, 0)"),
  backwards("every second", "100", farAway, -2, "floordiv(S + 1, 2)"),
  backwards("from the start on", "2", farAway, -1, "min(S - 1, 2) + 1"),
  backwards("down to one", "-1", "0", -3, "floordiv(S + 1, 3)"),
  backwards("none", "0", "3", -1, "0"),
  backwards("from a size on", "S - 1", "0", -1, "S - 1"),
  {
    name: "slice backwards and forwards",
    inputs: { x: "bool[4, S, 3]" },
    given: { s: `const i64[3] {1, -1, 2}`, e: `const i64[3] {4, ${farAway}, 0}` },
    node: 'slice(x: %x, starts: %s, ends: %e) {"axes":[0,1,-1],"steps":[2,-1,-2]} : bool[2, S, 1]',
    calls: [{ x: counted("bool", 4, 5, 3) }],
  },
  ...(["f32", "f16", "i64", "bool"] as const).map((dtype) => ({
    name: `tile of ${dtype}`,
    inputs: { x: `${dtype}[2, S, 1]` },
    given: { r: "const i64[3] {1, 3, 2}" },
    node: `tile(x: %x, repeats: %r) : ${dtype}[2, 3*S, 2]`,
    calls: [{ x: counted(dtype, 2, 4, 1) }, { x: counted(dtype, 2, 1, 1) }],
  })),
  {
    name: "tile, as often as sizes say",
    inputs: { x: "f32[2, S, 3]" },
    given: { r: "dims [S, 2, S - 1] : i64[3]" },
    node: "tile(x: %x, repeats: %r) : f32[2*S, 2*S, 3*S - 3]",
    calls: sizes(3, 1),
  },
  ...["true", "false"].flatMap((upper): NodeCase[] => [
    {
      name: `triangle, upper ${upper}`,
      inputs: { x: "f16[S, 3]" },
      node: `triangle(x: %x) {"upper":${upper}} : f16[S, 3]`,
      calls: [{ x: counted("f16", 4, 3) }, { x: counted("f16", 1, 3) }],
    },
    {
      name: `triangle, upper ${upper}, without what is no number`,
      inputs: { x: "f32[S, 3]" },
      given: { k: "const i64[] {-1}" },
      node: `triangle(x: %x, k: %k) {"upper":${upper}} : f32[S, 3]`,
      calls: [{ x: tensor("f32", [2, 3], [NaN, Infinity, NaN, 1, -Infinity, NaN]) }],
    },
    {
      name: `triangle, upper ${upper}, a diagonal that is an input`,
      inputs: { x: "i64[2, S, 4]", k: "i64[]" },
      node: `triangle(x: %x, k: %k) {"upper":${upper}} : i64[2, S, 4]`,
      calls: matrices,
    },
    {
      name: `triangle, upper ${upper}, a diagonal that is a size`,
      inputs: { x: "bool[2, S, 4]" },
      given: { k: "dims [S - 3] : i64[]" },
      node: `triangle(x: %x, k: %k) {"upper":${upper}} : bool[2, S, 4]`,
      calls: [6, 3, 1].map((size) => ({ x: counted("bool", 2, size, 4) })),
    },
    {
      name: `triangle, upper ${upper}, a diagonal far away`,
      inputs: { x: "u8[S, 4]" },
      given: { k: "const i64[] {9223372036854775807}" },
      node: `triangle(x: %x, k: %k) {"upper":${upper}} : u8[S, 4]`,
      calls: [{ x: counted("u8", 2, 4) }],
    },
  ]),
  {
    name: "range up to a size",
    inputs: { x: "f32[S]" },
    given: { a: "dims [2] : i64[]", b: "dims [S] : i64[]", c: "dims [2] : i64[]" },
    node: "range(start: %a, limit: %b, delta: %c) : i64[floordiv(S - 1, 2)]",
    calls: [7, 4, 2, 1].map((size) => ({ x: counted("f32", size) })),
  },
  {
    name: "range up to a size that may lie before the start",
    inputs: { x: "f32[S]" },
    given: { b: "dims [3] : i64[]", c: "dims [S] : i64[]", d: "dims [1] : i64[]" },
    node: "range(start: %b, limit: %c, delta: %d) : i64[max(S - 3, 0)]",
    calls: [7, 4, 2, 1].map((size) => ({ x: counted("f32", size) })),
  },
  {
    name: "range down from a size",
    inputs: { x: "f32[S]" },
    given: { a: "dims [S] : i64[]", b: "dims [1] : i64[]", c: "dims [-3] : i64[]" },
    node: "range(start: %a, limit: %b, delta: %c) : i64[floordiv(S + 1, 3)]",
    calls: [7, 4, 1].map((size) => ({ x: counted("f32", size) })),
  },
];

test.each(cases.map((each) => [each.name, each] as const))("%s", (_, each) => expectAsReference(each));
