import type { Graph, Value } from "../../ir/graph.ts";
import { castTo, rangeOf, reshapeTo } from "../../ir/shorthand.ts";
import { addDims, type Dim, sameDim } from "../../tensor/dim.ts";
import { isInteger } from "../../tensor/dtype.ts";
import { inputNamed } from "../decoder.ts";
import { capacityOf, pastLength } from "../lengths.ts";
import { definePass } from "../pass.ts";
import { dependsOnPositionsOnly, evaluateAt, isSmallAt } from "./positions.ts";

/**
 * Positions may be counted, summed up from a mask, or sliced from a table of numbers. Where they come out as
 * start_pos, start_pos + 1, … they are written as that.
 */
export const countPositions = definePass({
  name: "count-positions",
  doc: "Integers that count on from start_pos, told by their values, become a range.",
  async run(graph) {
    const tokens = inputNamed(graph, "tokens");
    if (tokens === undefined) return;
    const b = graph.edit("count-positions");
    const capacity = capacityOf(graph);
    const length = tokens.type.shape[1]!;
    const past = inputNamed(graph, "start_pos") ? pastLength(capacity) : 0;
    for (const value of graph.nodes.flatMap(({ results }) => results))
      if (isPerToken(value, length) && isLookedUp(value) && (await counts(graph, value, length))) {
        const range = rangeOf(b, past, addDims(past, length));
        b.replace(value, castTo(b, reshapeTo(b, range, value.type.shape), value.type.dtype));
      }
  },
});

/** One integer for each token: [S] or [1, S]. */
function isPerToken({ type: { dtype, shape } }: Value, length: Dim): boolean {
  const isRow = shape.length === 1 || (shape.length === 2 && shape[0] === 1);
  return isInteger(dtype) && isRow && sameDim(shape.at(-1)!, length);
}

/** Whether positions serve for something else than computing other positions. */
const isLookedUp = ({ users }: Value): boolean =>
  [...users].some(({ results }) => results.some(({ type }) => !isInteger(type.dtype)));

async function counts(graph: Graph, value: Value, length: Dim): Promise<boolean> {
  if (!dependsOnPositionsOnly(value)) return false;
  const capacity = capacityOf(graph);
  const hasPast = inputNamed(graph, "start_pos") !== undefined;
  const most = typeof length === "number" ? length : Math.min(4, capacity);
  for (const past of hasPast ? [0, Math.min(5, capacity - most), capacity - most] : [0]) {
    if (!isSmallAt(value, past, most)) return false;
    const { data } = await evaluateAt(value, past, most);
    if (!data.every((position: number, i: number) => position === past + i)) return false;
  }
  return true;
}
