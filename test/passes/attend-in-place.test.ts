import { describe, expect, test } from "vitest";
import { type Lowered, load } from "../../src/compiler/lower.ts";
import { Graph } from "../../src/ir/graph.ts";
import { coreOps } from "../../src/ir/ops/index.ts";
import { tensorType } from "../../src/ir/type.ts";
import { attendInPlacePass } from "../../src/passes/stateful/attend-in-place.ts";
import { addDims, type Dim, symbol } from "../../src/tensor/dim.ts";
import { torchScriptLlama } from "../support/exporters/torchscript.ts";
import { llamaWeights } from "../support/exporters/weights.ts";

const [S, P] = [symbol("S", 8, 1), symbol("P", 8)];

/** Attention over rows `from` to `to` of two caches of 8 positions. */
async function attended(from: Dim, to: Dim): Promise<{ ops: readonly string[]; why: readonly string[] }> {
  const graph = new Graph(coreOps);
  const b = graph.edit("test");
  const start_pos = b.input("start_pos", tensorType("i64", [1]), [P]);
  const q = b.input("q", tensorType("f32", [1, 2, S, 4]));
  const rows = (name: string) => {
    const cache = b.state(name, tensorType("f32", [1, 2, 8, 4]));
    const fresh = b.input(`new ${name}`, tensorType("f32", [1, 2, S, 4]));
    const x = b("kv.update", { cache, new: fresh, start_pos });
    const cut = b("slice", { x, starts: b.dims([from]), ends: b.dims([to]) }, { axes: [2], steps: [1] });
    return b("reshape", { x: cut, shape: b.dims([1, 2, addDims(P, S), 4]) });
  };
  const attrs = { scale: 0.5, causal: true, softcap: 0, window: 0 };
  b.output("y", b("nn.sdpa", { q, k: rows("key"), v: rows("value") }, attrs));
  const { compilation }: Lowered = await load({ model: torchScriptLlama(llamaWeights()).source });
  await attendInPlacePass.run(graph, compilation.context);
  const misses = compilation.context.rules.get("attend-in-place")?.misses ?? [];
  return { ops: graph.nodes.map(({ op }) => op), why: misses.map(({ why }) => why) };
}

describe("attend-in-place", () => {
  test("reads the cache itself where all filled rows are read", async () => {
    expect((await attended(0, addDims(P, S))).ops).toEqual(["kv.update", "kv.update", "nn.sdpa"]);
  });

  test.each([
    ["begins behind the first", 1, addDims(addDims(P, S), 1)],
    ["ends elsewhere", 0, addDims(P, 1)],
  ] as const)("leaves a read that %s", async (_, from, to) => {
    const { ops, why } = await attended(from, to);
    expect(ops.filter((op) => op === "slice").length).toBe(2);
    expect(why).toEqual(["other rows of the cache are read than the filled ones"]);
  });
});
