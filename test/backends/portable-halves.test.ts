import { describe, expect, test } from "vitest";
import { portableRefusals } from "../../src/backends/portable/lower.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { elementCount, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { type NodeCase, nodeGraph, refusalOf } from "./portable-compare.ts";
import { runPortable, runReference } from "./portable-run.ts";

/** How far the next number is at most, relatively: f32 may be rounded the other way than f64. */
const spacing = { f16: 2 ** -10, bf16: 2 ** -7 } as const;
type Half = keyof typeof spacing;

function random(dtype: DType, shape: readonly number[], seed: number): Tensor {
  let state = seed;
  const numbers = Array.from({ length: elementCount(shape) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32) * 6 - 3;
  });
  return tensor(dtype, shape, dtype === "bool" ? numbers.map((each) => Number(each > 0)) : numbers);
}

async function expectRoundedOnce(dtype: Half, each: Omit<NodeCase, "calls" | "name">): Promise<void> {
  const graph = nodeGraph({ ...each, name: "", calls: [] });
  expect(portableRefusals(graph)).toEqual([]);
  const [ours, theirs] = [await runPortable(graph), await runReference(graph)];
  for (const length of [5, 1, 3]) {
    const given = Object.entries(each.inputs).map(([name, type], i) => {
      const [, dtype, sizes] = /^(\w+)\[(.*)\]$/.exec(type)!;
      const shape = sizes!.split(", ").map((size) => (size === "S" ? length : Number(size)));
      return [name, random(dtype as DType, shape, length * 31 + i)] as const;
    });
    const inputs = Object.fromEntries(given);
    const [{ result: actual }, { result: expected }] = [await ours(inputs), await theirs(inputs)];
    expect(actual!.dtype).toBe(dtype);
    expect(actual!.shape).toEqual(expected!.shape);
    actual!.data.forEach((value, i) => {
      const wanted = expected!.data[i]!;
      const room = spacing[dtype] * Math.abs(wanted) + 1e-6;
      expect(Math.abs(value - wanted), `element ${i} is ${value} for ${wanted}`).toBeLessThanOrEqual(room);
    });
  }
}

describe.each(["f16", "bf16"] as const)("%s: what is computed in several steps is rounded once", (dtype) => {
  const x = `${dtype}[2, S, 6]`;
  const row = `${dtype}[6]`;
  const ops: readonly (readonly [node: string, ...more: string[]])[] = [
    [`softmax(x: %x) {"axis":1} : ${x}`],
    [`nn.rms_norm(x: %x, scale: %y) {"eps":0.00001} : ${x}`, row],
    [`nn.layer_norm(x: %x, scale: %y, bias: %z) {"eps":0.00001} : ${x}`, row, row],
    [`nn.relu2(x: %x) : ${x}`],
    [`nn.silu(x: %x) : ${x}`],
    [`nn.gelu(x: %x) {"approximate":"tanh"} : ${x}`],
    [`nn.linear(x: %x, weight: %y, bias: %z) : ${dtype}[2, S, 4]`, `${dtype}[4, 6]`, `${dtype}[4]`],
    [`matmul(a: %x, b: %y) : ${dtype}[2, S, 4]`, `${dtype}[6, 4]`],
    [`reduce_sum(x: %x) {"axes":[0,2],"keepdims":false} : ${dtype}[S]`],
    [`reduce_mean(x: %x) {"axes":[1],"keepdims":true} : ${dtype}[2, 1, 6]`],
    [`cumsum(x: %x) {"axis":-1,"exclusive":true,"reverse":true} : ${x}`],
  ];
  test.each(ops)("%s", (node, ...more) =>
    expectRoundedOnce(dtype, {
      inputs: { x, ...Object.fromEntries(more.map((type, i) => [["y", "z"][i]!, type])) },
      node,
    }),
  );

  const attention = (attrs: string, mask?: string, keys = "S", values: DType = dtype) =>
    expectRoundedOnce(dtype, {
      inputs: {
        q: `${dtype}[1, 4, S, 2]`,
        k: `${dtype}[1, 2, ${keys}, 2]`,
        v: `${values}[1, 2, ${keys}, 3]`,
        ...(mask !== undefined && { m: mask }),
      },
      node: `nn.sdpa(q: %q, k: %k, v: %v${mask === undefined ? "" : ", mask: %m"}) {"scale":0.7,${attrs}} : ${dtype}[1, 4, S, 3]`,
    });
  test("attention", () => attention(`"causal":true,"softcap":0,"window":0`));
  test("attention with a window and a cap", () => attention(`"causal":true,"softcap":1.5,"window":2`));
  test("attention with a mask", () =>
    attention(`"causal":false,"softcap":0,"window":0`, `${dtype}[S, 7]`, "7"));
  test("attention with a mask of bools", () =>
    attention(`"causal":false,"softcap":0,"window":0`, "bool[S, 7]", "7"));
  test("attention over values of another type", () =>
    attention(`"causal":true,"softcap":0,"window":0`, undefined, "S", "f32"));
});

test("f64 is refused, as constants among what is computed are f32", () => {
  const refused = refusalOf({ inputs: { x: "f64[S, 6]" }, node: `softmax(x: %x) {"axis":1} : f64[S, 6]` });
  expect(refused).toBe("x must be f32 or narrower, and is f64");
});
