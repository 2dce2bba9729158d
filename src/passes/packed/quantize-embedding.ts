import * as diagnostics from "../../diagnostics.ts";
import type { Builder, Graph, Node, Value } from "../../ir/graph.ts";
import { q4Group, q4Weight } from "../../ir/q4.ts";
import { q8Codes, q8Scales } from "../../ir/q8.ts";
import type { WeightRef } from "../../ir/weights.ts";
import { sameDim } from "../../tensor/dim.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { leavesOf } from "../evaluate.ts";
import { definePass } from "../pass.ts";

/**
 * The head is read whole for every token: over half of the bytes of a ternary model. Codes and scales are lazy, so the
 * table is quantised a few rows at a time when the program is written.
 */
export const quantizeEmbedding = definePass({
  name: "quantize-embedding",
  doc: "With --embedding q8, the token embedding and the head become int8 rows with one scale each; with q4, numbers that four bits and a scale for every 32 hold.",
  run(graph, { options: { embedding }, report }) {
    if (embedding !== "q8" && embedding !== "q4") return;
    const b = graph.edit("quantize-embedding");
    const head = headOf(graph);
    const tables = new Set(graph.nodes.filter(isTokenEmbedding).map((node) => node.arg("table")));
    const quantized = new Map<Value, QuantizedTable>();
    for (const node of graph.nodes) {
      const name = node.op === "nn.embedding" ? "table" : node.op === "nn.linear" ? "weight" : undefined;
      if (name === undefined) continue;
      const weight = node.arg(name);
      if (node !== head && !tables.has(weight)) continue;
      if (weight.def.kind !== "const" || !isFloat(weight.type.dtype)) continue;
      const { data } = weight.def;
      if (embedding === "q4" && !fitsQ4(data.shape)) {
        report(diagnostics.q4Shape(node.loc.source, data.shape));
        return;
      }
      if (!quantized.has(weight)) quantized.set(weight, quantizers[embedding](b, data));
      const { table, scale } = quantized.get(weight)!;
      const args = { ...node.args, [name]: table, ...(scale && { scale }) };
      b.replace(node.results[0]!, b.untyped(node.op, args, node.attrs)[0]!);
    }
  },
});

/** Kernels for q4 compute outputs by fours. */
const fitsQ4 = ([rows, columns]: readonly number[]): boolean => rows! % 4 === 0 && columns! % q4Group === 0;

interface QuantizedTable {
  readonly table: Value;
  readonly scale?: Value;
}

const quantizers: Readonly<Record<"q8" | "q4", (b: Builder, data: WeightRef) => QuantizedTable>> = {
  q8: (b, data) => ({ table: b.constant(q8Codes(data)), scale: b.constant(q8Scales(data)) }),
  q4: (b, data) => ({ table: b.constant(q4Weight(data)) }),
};

/** The linear that makes the logits: after it come a choice of rows, another shape, a cap, but nothing of another width. */
function headOf(graph: Graph): Node | undefined {
  const logits = graph.outputs.find(({ name }) => name === "logits")?.value;
  const width = logits?.type.shape.at(-1);
  let node = logits?.node;
  while (node !== undefined && node.op !== "nn.linear") {
    const [before, ...others] = node.operands.filter((operand) => operand.node);
    const last = before?.type.shape.at(-1);
    if (others.length > 0 || last === undefined || width === undefined || !sameDim(last, width))
      return undefined;
    node = before?.node;
  }
  return node;
}

/** Whether tokens [B, S] index the table: that of positions, which follow from start_pos and sizes, is another. */
const isTokenEmbedding = (node: Node): boolean =>
  node.op === "nn.embedding" &&
  [...leavesOf(node.arg("ids"))].some(({ def, type }) => def.kind === "input" && type.shape.length === 2);
