import type { Node, Value } from "../../ir/graph.ts";
import { memoryWeight, type WeightRef } from "../../ir/weights.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import { inputNamed } from "../decoder.ts";
import { capacityOf } from "../lengths.ts";
import { definePass } from "../pass.ts";
import { reportOf } from "../rule.ts";
import { dependsOnPast, dependsOnPositionsOnly, evaluateAt } from "./positions.ts";

/**
 * cos and sin depend on positions alone, so they are computed ahead of time for every position, whatever
 * arithmetic an exporter spelled them with: scaled frequencies, precomputed caches, gathers.
 */
export const tabulateRope = definePass({
  name: "tabulate-rope",
  doc: "cos and sin of rotary embeddings become tables, indexed by position.",
  async run(graph, context) {
    const b = graph.edit("tabulate-rope");
    const capacity = capacityOf(graph);
    const report = reportOf(context, "position-table");
    const startPos = inputNamed(graph, "start_pos");
    const tables = new Map<Value, Value | string>();
    const tableOf = async (perToken: Value): Promise<Value | string> => {
      const known = tables.get(perToken);
      if (known !== undefined) return known;
      const made = await positionTable(perToken, capacity);
      const table = typeof made === "string" ? made : b.constant(made);
      tables.set(perToken, table);
      return table;
    };
    for (const node of graph.nodes) {
      if (!takesRows(node)) continue;
      const cos = await tableOf(node.arg("cos"));
      const sin = await tableOf(node.arg("sin"));
      if (typeof cos === "string" || typeof sin === "string") {
        report.misses.push({ why: typeof cos === "string" ? cos : (sin as string), at: node.loc.source });
        continue;
      }
      const interleaved = node.attrs.interleaved as boolean;
      b.replace(
        node.results[0]!,
        b("nn.rope", { x: node.arg("x"), cos, sin, start_pos: startPos }, { interleaved }),
      );
      report.matched++;
    }
  },
});

/** Rotary embeddings that are given a row for each token, not tables. */
const takesRows = (node: Node): boolean => node.op === "nn.rope" && node.arg("cos").type.shape.length === 3;

/** f32 [capacity, width]: a row for each position, from a value [1, S, width] that gives the rows of S positions. */
async function positionTable(perToken: Value, capacity: number): Promise<WeightRef | string> {
  if (!dependsOnPositionsOnly(perToken)) return "cos or sin depends on more than positions";
  const length = perToken.type.shape[1]!;
  if (typeof length === "number") return tableOfCalls(perToken, length, capacity);
  const rows = await evaluateAt(perToken, 0, capacity);
  const width = rows.shape.at(-1)!;
  if (dependsOnPast(perToken)) {
    const past = Math.min(3, capacity - 1);
    const one = await evaluateAt(perToken, past, 1);
    const follows = one.data.every((value, i) => Object.is(value, rows.data[past * width + i]));
    if (!follows) return "cos or sin does not follow start_pos";
  }
  return memoryWeight({ ...rows, shape: [capacity, width] });
}

/** The table where calls have a fixed length: the rows of one call after another. */
async function tableOfCalls(perToken: Value, length: number, capacity: number): Promise<WeightRef> {
  const parts: Tensor[] = [];
  for (let past = 0; past < capacity; past += length) parts.push(await evaluateAt(perToken, past, length));
  const width = parts[0]!.shape.at(-1)!;
  const table = tensor(parts[0]!.dtype, [capacity, width]);
  for (const [i, { data }] of parts.entries()) {
    const at = i * length * width;
    table.data.set(data.subarray(0, table.data.length - at), at);
  }
  return memoryWeight(table);
}
