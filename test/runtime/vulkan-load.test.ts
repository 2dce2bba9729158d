import { describe, expect, test } from "vitest";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { elements, f32, GraphWriter, i32, i64, problemOf, range } from "./vulkan-graph.ts";

const [capacity, heads, keyHeads, width] = [5, 4, 2, 4] as const;

/** What attention over all keys so far should give, position by position. */
function expectedAttention(queries: Tensor, keys: Tensor, values: Tensor, start: number): number[] {
  const length = queries.shape[1]!;
  const group = heads / keyHeads;
  return range(length).flatMap((s) =>
    range(heads).flatMap((h) => {
      const at = (position: number) => (position * keyHeads + Math.floor(h / group)) * width;
      const scores = range(start + s + 1).map((j) =>
        Math.exp(
          range(width).reduce(
            (sum, i) => sum + queries.data[(s * heads + h) * width + i]! * keys.data[at(j) + i]!,
            0,
          ) / Math.sqrt(width),
        ),
      );
      const total = scores.reduce((a, b) => a + b, 0);
      return range(width).map((i) =>
        scores.reduce((sum, score, j) => sum + (score / total) * values.data[at(j) + i]!, 0),
      );
    }),
  );
}

const noise = (count: number, seed: number): number[] =>
  range(count).map((i) => Math.sin(seed + 1.7 * i * (seed + 1)));
const closeTo = (actual: Tensor, expected: readonly number[]) => {
  expect(actual.data.length).toBe(expected.length);
  expected.forEach((value, i) => {
    expect(actual.data[i]).toBeCloseTo(value, 5);
  });
};

/** Two calls of attention over caches that begin with one constant, or one over tensors that caches are written to. */
function cachedGraph(kind: "own" | "resident" | "prepacked") {
  const g = new GraphWriter();
  const bound = 3;
  const positions = g.tensor("i32", [1]);
  const q = g.tensor("f32", [1, bound, heads, width]);
  const [k, v] = [0, 1].map(() => g.tensor("f32", [1, bound, keyHeads, width])) as [number, number];
  const start = g.symbol();
  g.call("et_vk.select_as_symint.default", positions, g.int(0), g.int(0), start);
  const none = g.none();
  const zeros = f32([1, capacity, keyHeads, width], ...Array(capacity * keyHeads * width).fill(0));
  const outputs: number[] = [];
  const result = () => {
    outputs.push(g.tensor("f32", [1, bound, heads, width]));
    return outputs.at(-1)!;
  };
  const attend = (k: number, v: number) => {
    if (kind === "own") {
      const [keys, values] = [g.constant(zeros), g.constant(zeros)];
      const rest = [start, g.int(1), none, none, g.bool(true), none, result()];
      g.call("sdpa_with_kv_cache.default", q, k, v, keys, values, ...rest);
      return;
    }
    const cache = () => (kind === "prepacked" ? g.resident(zeros) : g.tensor("f32", zeros.shape));
    const [keys, values] = [cache(), cache()];
    g.call("update_cache.default", k, keys, start, none);
    g.call("update_cache.default", v, values, start, none);
    g.call("llama.custom_sdpa.default", q, keys, values, start, none, g.double(0), none, none, result());
  };
  attend(k, v);
  attend(v, k);
  return { g, inputs: [positions, q, k, v], outputs };
}

describe.each(["own", "resident", "prepacked"] as const)("caches: %s", (kind) => {
  test("persist from run to run, each with memory of its own", async () => {
    const { g, inputs, outputs } = cachedGraph(kind);
    const loaded = await g.load(inputs, outputs);
    const [keys, values] = [1, 2].map((seed) =>
      f32([1, capacity, keyHeads, width], ...noise(capacity * keyHeads * width, seed)),
    ) as [Tensor, Tensor];
    const rowsOf = (x: Tensor, from: number, to: number) => {
      const row = keyHeads * width;
      return tensor("f32", [1, to - from, keyHeads, width], x.data.slice(from * row, to * row));
    };
    const attend = (from: number, to: number) => {
      const q = f32([1, to - from, heads, width], ...noise((to - from) * heads * width, 3 + from));
      const given = [i64([1], from), q, rowsOf(keys, from, to), rowsOf(values, from, to)];
      const [first, second] = loaded.run(given) as [Tensor, Tensor];
      closeTo(first, expectedAttention(q, keys, values, from));
      closeTo(second, expectedAttention(q, values, keys, from));
    };
    for (const _ of range(2)) {
      attend(0, 3);
      attend(3, 4);
      attend(4, 5);
      expect(loaded.states.map(({ tensor }) => elements(tensor))).toEqual(
        [keys, values, values, keys].map(elements),
      );
      loaded.reset();
      for (const state of loaded.states) expect(new Set(elements(state.tensor))).toEqual(new Set([0]));
    }
    const problem = await problemOf(() => attend(4, 6));
    expect([problem.code, problem.message]).toEqual([
      "run-failed",
      expect.stringContaining("Positions 4 to 5 do not fit a key/value cache of 5 positions"),
    ]);
  });
});

test("a cache begins with what its constant holds", async () => {
  const g = new GraphWriter();
  const cache = g.resident(f32([1, 2, 1, 4], ...range(8)));
  const rows = g.tensor("f32", [1, 1, 1, 4]);
  const [before, after] = [g.tensor("f32", [2, 4]), g.tensor("f32", [2, 4])];
  g.call("aten.view_copy.default", cache, g.ints(2, 4), before);
  g.call("update_cache.default", rows, cache, g.int(1), g.none());
  g.call("aten.view_copy.default", cache, g.ints(2, 4), after);
  const loaded = await g.load([rows], [before, after]);
  const run = () => loaded.run([f32([1, 1, 1, 4], 9, 9, 9, 9)]).map(elements);
  expect(run()).toEqual([range(8), [0, 1, 2, 3, 9, 9, 9, 9]]);
  expect(run()[0]).toEqual([0, 1, 2, 3, 9, 9, 9, 9]);
  loaded.reset();
  expect(run()[0]).toEqual(range(8));
});

describe("sizes", () => {
  test("shrink and grow", async () => {
    const g = new GraphWriter();
    const x = g.tensor("f32", [1, 4, 2]);
    const [rows, doubled, last] = [g.tensor("f32", [4, 2]), g.tensor("f32", [4, 2]), g.tensor("f32", [2])];
    g.call("aten.view_copy.default", x, g.ints(-1, 2), rows);
    g.call("aten.add.Tensor", rows, rows, g.int(1), doubled);
    g.call("aten.select_copy.int", doubled, g.int(0), g.int(-1), last);
    const loaded = await g.load([x], [doubled, last]);
    for (const length of [4, 1, 3, 4]) {
      const given = f32([1, length, 2], ...range(2 * length));
      const [all, one] = loaded.run([given]) as [Tensor, Tensor];
      expect([all.shape, elements(all)]).toEqual([[length, 2], range(2 * length, 2)]);
      expect(elements(one)).toEqual(range(2 * length, 2).slice(-2));
    }
    expect(() => loaded.run([f32([1, 5, 2], ...range(10))])).toThrow(
      "Its result is [1, 5, 2] and goes to a tensor of at most [1, 4, 2].",
    );
    expect(() => loaded.run([f32([4, 2], ...range(8))])).toThrow(RangeError);
  });

  test("are computed from others", async () => {
    const g = new GraphWriter();
    const x = g.tensor("f32", [6, 2]);
    const n = g.tensor("i32", [3]);
    const [size, given, sum, less, more, half] = range(6).map(g.symbol) as [
      ...[number, number, number],
      ...[number, number, number],
    ];
    g.call("sym_size.int", x, g.int(-2), size);
    g.call("et_vk.select_as_symint.default", n, g.int(0), g.int(-1), given);
    g.call("add", size, given, sum);
    g.call("sub", sum, g.int(1), less);
    g.call("mul", less, g.int(-1), more);
    g.call("floordiv", more, g.int(2), half);
    const [part, filled] = [g.tensor("f32", [6, 2]), g.tensor("f32", [12, 2])];
    g.call("aten.slice_copy.Tensor", x, g.int(0), half, size, g.int(1), part);
    const none = g.none();
    g.call("aten.full.default", g.list(sum, g.int(2)), g.int(1), none, none, none, none, filled);
    const loaded = await g.load([x, n], [part, filled]);
    // Of 4 rows, from -((4 + 1 - 1) / 2) on.
    const results = loaded.run([f32([4, 2], ...range(8)), i32([3], 7, 8, 1)]);
    expect(results.map(({ shape }) => shape)).toEqual([
      [2, 2],
      [5, 2],
    ]);
    expect(elements(results[0])).toEqual([4, 5, 6, 7]);
    // -((3 + 1 - 1) / 2), rounded down, is -2.
    expect(elements(loaded.run([f32([3, 2], ...range(6)), i32([3], 0, 0, 1)])[0])).toEqual([2, 3, 4, 5]);
  });

  test("can be inputs", async () => {
    const g = new GraphWriter();
    const x = g.tensor("f32", [4]);
    const end = g.symbol();
    const part = g.tensor("f32", [4]);
    g.call("aten.slice_copy.Tensor", x, g.int(0), g.none(), end, g.int(1), part);
    const loaded = await g.load([x, end], [part]);
    const given = f32([4], 1, 2, 3, 4);
    expect(elements(loaded.run([given, 3])[0])).toEqual([1, 2, 3]);
    expect(elements(loaded.run([given, i64([1], 2)])[0])).toEqual([1, 2]);
    expect(() => loaded.run([given, i64([2], 2, 2)])).toThrow("An integer is given as [2].");
  });

  test.each([
    ["a static view of a smaller tensor", "aten.view_copy.default", /has no shape \[4, 2\]/],
    ["parts of a smaller tensor", "aten.split_with_sizes_copy.default", /do not change their sizes/],
  ])("refuse %s", async (_, op, message) => {
    const g = new GraphWriter();
    const x = g.tensor("f32", [4, 2]);
    const out = g.tensor("f32", [4, 2]);
    if (op.includes("view")) g.call(op, x, g.ints(4, 2), out);
    else g.call(op, x, g.ints(2), g.int(1), g.list(out));
    const loaded = await g.load([x], [out]);
    loaded.run([f32([4, 2], ...range(8))]);
    const problem = await problemOf(() => loaded.run([f32([2, 2], ...range(4))]));
    expect(problem.code).toBe("run-failed");
    expect(problem.message).toMatch(message);
    expect(problem.diagnostics[0]?.at).toBe("call 0 of the graph");
  });
});

test("weights of a program take integers exactly", async () => {
  // Sums that no f32 holds on the way, of codes of -1, 0 and 1 and one scale.
  const g = new GraphWriter();
  const depth = 512;
  const x = g.tensor("f32", [4, depth]);
  const codes = tensor("u8", [4, depth / 2], new Uint8Array(2 * depth).fill(0x99));
  const out = g.tensor("f32", [4, 4]);
  const scale = f32([1, 4], 0.3, 0.3, 0.3, 0.3);
  const weights = [g.constant(codes), g.constant(scale), g.int(depth), g.none()];
  g.call("et_vk.linear_q4gsw.default", x, ...weights, out);
  const loaded = await g.load([x], [out]);
  const expected = Math.fround(127 * depth * Math.fround(0.3));
  for (const rows of [4, 1]) {
    const given = tensor("f32", [rows, depth], new Float32Array(rows * depth).fill(127));
    expect(new Set(elements(loaded.run([given])[0]))).toEqual(new Set([expected]));
  }
});
