import * as diagnostics from "../../diagnostics.ts";
import type { Value } from "../../ir/graph.ts";
import { inputNamed } from "../decoder.ts";
import { capacityOf, lengthsUpTo } from "../lengths.ts";
import { definePass } from "../pass.ts";
import { dependsOnPast, evaluateAt, isSmallAt, positionFunctions } from "./positions.ts";

/**
 * Tables of positions (learned embeddings, precomputed rotary caches) end somewhere, and a model need not say
 * where. Computing what depends on positions alone for the last position tells how far they reach.
 */
export const boundPositions = definePass({
  name: "bound-positions",
  doc: "The program has room for no more positions than the model's tables do.",
  async run(graph, { options, report }) {
    if (inputNamed(graph, "tokens") === undefined) return;
    const frontier = positionFunctions(graph);
    const capacity = capacityOf(graph);
    const reach = await largestThatWorks(frontier, capacity);
    if (reach === capacity) return;
    if (options.maxSeqLen !== undefined) report(diagnostics.tooFewPositions(options.maxSeqLen, reach));
    graph.edit("bound-positions").substitute(lengthsUpTo(reach));
  },
});

async function largestThatWorks(values: readonly Value[], capacity: number): Promise<number> {
  const works = async (length: number): Promise<boolean> => {
    try {
      for (const value of values) {
        const [past, rest] = dependsOnPast(value) ? [length - 1, 1] : [0, length];
        // Masks grow with the square of the length; tables, which end somewhere, are never that large.
        if (isSmallAt(value, past, rest)) await evaluateAt(value, past, rest);
      }
      return true;
    } catch (error) {
      if (error instanceof RangeError) return false;
      throw error;
    }
  };
  // What fails for a single position too does not fail for want of a longer table.
  if ((await works(capacity)) || !(await works(1))) return capacity;
  let [low, high] = [1, capacity];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (await works(middle)) low = middle;
    else high = middle;
  }
  return low;
}
