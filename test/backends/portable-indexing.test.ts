import { describe, expect, test } from "vitest";
import { tensor } from "../../src/tensor/tensor.ts";
import {
  counted,
  expectAsReference,
  expectGraphAsReference,
  indices,
  type NodeCase,
  refusalOf,
} from "./portable-compare.ts";
import { graphOf } from "./portable-run.ts";

const cases: readonly NodeCase[] = [
  {
    name: "gather, indices from both ends",
    inputs: { x: "f32[2, S, 3]", i: "i64[2, 2]" },
    node: 'gather(x: %x, indices: %i) {"axis":1} : f32[2, 2, 2, 3]',
    calls: [
      { x: counted("f32", 2, 4, 3), i: indices([2, 2], -1, 0, 3, -4) },
      { x: counted("f32", 2, 1, 3), i: indices([2, 2], -1, 0, 0, -1) },
    ],
  },
  {
    name: "gather, indices of i32 along the last axis",
    inputs: { x: "i64[2, 3]", i: "i32[S]" },
    node: 'gather(x: %x, indices: %i) {"axis":-1} : i64[2, S]',
    calls: [{ x: counted("i64", 2, 3), i: tensor("i32", [4], [2, -3, -1, 0]) }],
  },
  {
    name: "gather, indices of u8",
    inputs: { x: "f32[3]", i: "u8[2]" },
    node: 'gather(x: %x, indices: %i) {"axis":0} : f32[2]',
    calls: [{ x: counted("f32", 3), i: tensor("u8", [2], [2, 0]) }],
  },
  {
    name: "gather, one known index from the end",
    inputs: { x: "f16[2, S]" },
    given: { i: "const i64[] {-1}" },
    node: 'gather(x: %x, indices: %i) {"axis":1} : f16[2]',
    calls: [{ x: counted("f16", 2, 5) }, { x: counted("f16", 2, 1) }],
  },
  {
    name: "gather, sizes as indices",
    inputs: { x: "f32[8, 2]", y: "f32[S]" },
    given: { i: "dims [S - 1, 0, S - 2] : i64[3]" },
    node: 'gather(x: %x, indices: %i) {"axis":0} : f32[3, 2]',
    calls: [5, 1].map((size) => ({ x: counted("f32", 8, 2), y: counted("f32", size) })),
  },
  ...(["f32", "f16", "i64", "u8", "bool"] as const).map((dtype) => ({
    name: `gather_elements of ${dtype}`,
    inputs: { x: `${dtype}[S, 3]`, i: "i64[2, 2]" },
    node: `gather_elements(x: %x, indices: %i) {"axis":0} : ${dtype}[2, 2]`,
    calls: [
      { x: counted(dtype, 4, 3), i: indices([2, 2], -1, 3, 0, -4) },
      { x: counted(dtype, 1, 3), i: indices([2, 2], 0, -1, -1, 0) },
    ],
  })),
  {
    name: "gather_elements, indices of i32",
    inputs: { x: "f32[2, 3]", i: "i32[2, S]" },
    node: 'gather_elements(x: %x, indices: %i) {"axis":-1} : f32[2, S]',
    calls: [{ x: counted("f32", 2, 3), i: tensor("i32", [2, 4], [2, -1, 0, 0, -3, 1, 1, 2]) }],
  },
  {
    name: "gather_elements, known indices",
    inputs: { x: "f32[2, 3]" },
    given: { i: "const i64[2, 1] {-1, 1}" },
    node: 'gather_elements(x: %x, indices: %i) {"axis":1} : f32[2, 1]',
    calls: [{ x: counted("f32", 2, 3) }],
  },
  {
    name: "gather_nd of elements",
    inputs: { x: "i32[S, 3]", i: "i64[2, 2, 2]" },
    node: 'gather_nd(x: %x, indices: %i) {"batch_dims":0} : i32[2, 2]',
    calls: [{ x: counted("i32", 4, 3), i: indices([2, 2, 2], 0, 0, -1, 2, 3, -3, 1, 1) }],
  },
  {
    name: "gather_nd of blocks",
    inputs: { x: "f32[4, 2, 3]", i: "i64[S, 1]" },
    node: 'gather_nd(x: %x, indices: %i) {"batch_dims":0} : f32[S, 2, 3]',
    calls: [
      { x: counted("f32", 4, 2, 3), i: indices([3, 1], 3, -4, -1) },
      { x: counted("f32", 4, 2, 3), i: indices([1, 1], 2) },
    ],
  },
  {
    name: "gather_nd of one tuple",
    inputs: { x: "f32[4, 2, 3]", i: "i32[2]" },
    node: 'gather_nd(x: %x, indices: %i) {"batch_dims":0} : f32[3]',
    calls: [{ x: counted("f32", 4, 2, 3), i: tensor("i32", [2], [-2, 1]) }],
  },
  {
    name: "gather_nd, a batch",
    inputs: { x: "bool[S, 3, 2]", i: "i64[S, 2, 1]" },
    node: 'gather_nd(x: %x, indices: %i) {"batch_dims":1} : bool[S, 2, 2]',
    calls: [{ x: counted("bool", 2, 3, 2), i: indices([2, 2, 1], 0, -1, 1, 2) }],
  },
  {
    name: "gather_nd, batches of two axes",
    inputs: { x: "f32[2, S, 3]", i: "i64[2, S, 1]" },
    node: 'gather_nd(x: %x, indices: %i) {"batch_dims":2} : f32[2, S]',
    calls: [{ x: counted("f32", 2, 3, 3), i: indices([2, 3, 1], 0, -1, 1, 2, -3, -2) }],
  },
  ...(["f32", "f16", "bf16", "i64", "i8"] as const).flatMap((dtype) =>
    (["none", "add"] as const).map((reduction) => ({
      name: `scatter_elements of ${dtype}, twice to one place (${reduction})`,
      inputs: { x: `${dtype}[S, 3]`, i: "i64[3, 2]", u: `${dtype}[3, 2]` },
      node: `scatter_elements(x: %x, indices: %i, updates: %u) {"axis":0,"reduction":"${reduction}"} : ${dtype}[S, 3]`,
      calls: [
        {
          x: counted(dtype, 4, 3),
          i: indices([3, 2], 1, -1, 1, 0, -3, 3),
          u: tensor(dtype, [3, 2], [100, 0, 101, 20, 102, 3]),
        },
      ],
    })),
  ),
  ...(["f32", "bf16", "i64", "i8"] as const).flatMap((dtype) =>
    (["mul", "min", "max"] as const).flatMap((reduction) => [
      {
        name: `scatter_elements of ${dtype}, twice to one place (${reduction})`,
        inputs: { x: `${dtype}[S, 3]`, i: "i64[3, 2]", u: `${dtype}[3, 2]` },
        node: `scatter_elements(x: %x, indices: %i, updates: %u) {"axis":0,"reduction":"${reduction}"} : ${dtype}[S, 3]`,
        calls: [
          {
            x: counted(dtype, 4, 3),
            i: indices([3, 2], 1, -1, 1, 0, -3, 3),
            u: tensor(dtype, [3, 2], [100, 0, 101, 20, 102, -3]),
          },
        ],
      },
      {
        name: `scatter_nd of ${dtype} blocks, twice to one place (${reduction})`,
        inputs: { x: `${dtype}[4, S]`, i: "i64[3, 1]", u: `${dtype}[3, S]` },
        node: `scatter_nd(x: %x, indices: %i, updates: %u) {"reduction":"${reduction}"} : ${dtype}[4, S]`,
        calls: [3, 1].map((size) => ({
          x: counted(dtype, 4, size),
          i: indices([3, 1], 1, -1, 1),
          u: counted(dtype, 3, size),
        })),
      },
    ]),
  ),
  {
    name: "scatter_nd of tuples of bools (max)",
    inputs: { x: "bool[S, 3]", i: "i64[2, 2, 2]", u: "bool[2, 2]" },
    node: 'scatter_nd(x: %x, indices: %i, updates: %u) {"reduction":"max"} : bool[S, 3]',
    calls: [
      {
        x: counted("bool", 4, 3),
        i: indices([2, 2, 2], 0, 0, -1, 2, 0, 1, 0, 1),
        u: tensor("bool", [2, 2], [0, 1, 1, 0]),
      },
    ],
  },
  {
    name: "scatter_elements, known indices along the last axis",
    inputs: { x: "bool[2, S]", u: "bool[2, 1]" },
    given: { i: "const i32[2, 1] {-1, 0}" },
    node: 'scatter_elements(x: %x, indices: %i, updates: %u) {"axis":-1,"reduction":"none"} : bool[2, S]',
    calls: [{ x: counted("bool", 2, 4), u: tensor("bool", [2, 1], [1, 0]) }],
  },
  ...(["f32", "f16", "i32"] as const).flatMap((dtype) =>
    (["none", "add"] as const).map((reduction) => ({
      name: `scatter_nd of ${dtype} blocks, twice to one place (${reduction})`,
      inputs: { x: `${dtype}[4, S, 2]`, i: "i64[3, 1]", u: `${dtype}[3, S, 2]` },
      node: `scatter_nd(x: %x, indices: %i, updates: %u) {"reduction":"${reduction}"} : ${dtype}[4, S, 2]`,
      calls: [3, 1].map((size) => ({
        x: counted(dtype, 4, size, 2),
        i: indices([3, 1], 1, -1, 1),
        u: counted(dtype, 3, size, 2),
      })),
    })),
  ),
  {
    name: "scatter_nd of elements",
    inputs: { x: "f32[S, 3]", i: "i32[2, 2, 2]", u: "f32[2, 2]" },
    node: 'scatter_nd(x: %x, indices: %i, updates: %u) {"reduction":"none"} : f32[S, 3]',
    calls: [
      {
        x: counted("f32", 4, 3),
        i: tensor("i32", [2, 2, 2], [0, 0, -1, 2, 2, -3, 1, 1]),
        u: tensor("f32", [2, 2], [-1, -2, -3, Number.NaN]),
      },
    ],
  },
  {
    name: "scatter_nd of one tuple",
    inputs: { x: "i64[S, 3]", i: "i64[1]", u: "i64[3]" },
    node: 'scatter_nd(x: %x, indices: %i, updates: %u) {"reduction":"add"} : i64[S, 3]',
    calls: [{ x: counted("i64", 4, 3), i: indices([1], -2), u: indices([3], 10, 20, 30) }],
  },
];

test.each(cases.map((each) => [each.name, each] as const))("%s", (_, each) => expectAsReference(each));

test.each(["f32", "i64", "bool"] as const)("nonzero of %s says a size of what follows", async (dtype) => {
  const graph = graphOf(
    [
      "symbol S 1..8",
      "symbol n 0..24",
      `%0 = input "x" : ${dtype}[S, 3]`,
      '%1 = nonzero(x: %0) {"size":"n"} : i64[2, n]',
      '%2 = transpose(x: %1) {"perm":[1,0]} : i64[n, 2]',
      `%3 = gather_nd(x: %0, indices: %2) {"batch_dims":0} : ${dtype}[n]`,
      "%4 = dims [2, n] : i64[2]",
      `%5 = expand(x: %3, shape: %4) : ${dtype}[2, n]`,
      'output "places" %1',
      'output "shape" %4',
      'output "elements" %5',
      "",
    ].join("\n"),
  );
  const calls = [
    { x: tensor(dtype, [2, 3], [0, 1, 0, 1, 1, 0]) },
    { x: tensor(dtype, [1, 3]) },
    { x: tensor(dtype, [8, 3], new Array<number>(24).fill(1)) },
  ];
  await expectGraphAsReference(graph, calls);
});

test("known sizes are tensors of their own shape", async () => {
  const graph = graphOf(
    [
      '%0 = input "x" : f32[4]',
      "%1 = dims [4] : i64[]",
      "%2 = dims [4] : i64[1]",
      'output "scalar" %1',
      'output "vector" %2',
      "",
    ].join("\n"),
  );
  await expectGraphAsReference(graph, [{ x: counted("f32", 4) }]);
});

describe("what is refused", () => {
  const inputs = { x: "f32[4, 3]", i: "i64[S, 1]", u: "f32[S, 1]", b: "f32[S, 3]", t: "i64[2, 0]" };
  const many = { ...inputs, i: "i64[65, 1]", u: "f32[65, 1]", b: "f32[65, 3]" };

  test.each(["mul", "min", "max"])("many updates of what may be one element (%s)", (reduction) => {
    const why = (count: string) =>
      `no kernel scatters with the reduction ${reduction}, and it has ${count} updates of what may be one element`;
    const elements = `scatter_elements(x: %x, indices: %i, updates: %u) {"axis":0,"reduction":"${reduction}"} : f32[4, 3]`;
    const blocks = `scatter_nd(x: %x, indices: %i, updates: %b) {"reduction":"${reduction}"} : f32[4, 3]`;
    for (const node of [elements, blocks]) {
      expect(refusalOf({ inputs, node })).toBe(why("an unknown number of"));
      expect(refusalOf({ inputs: many, node })).toBe(why("65"));
    }
  });

  test("tuples without indices", () => {
    const node = 'gather_nd(x: %x, indices: %t) {"batch_dims":0} : f32[2, 4, 3]';
    expect(refusalOf({ inputs, node })).toBe("its index tuples are empty");
  });
});
