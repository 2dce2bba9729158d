import { diagnostics } from "../../errors.ts";
import type { Graph, Value } from "../../ir/graph.ts";
import { pastLength, sequenceLength } from "../canonical/bind-dimensions.ts";
import { capacityOf, nameOf } from "../decoder.ts";
import { definePass } from "../pass.ts";
import { dependsOnPast, dependsOnPositionsOnly, evaluateAt } from "./positions.ts";

/**
 * Tables of positions (learned embeddings, precomputed rotary caches) end somewhere, and a model need not say
 * where. Computing what depends on positions alone for the last position tells how far they reach.
 */
export const boundPositions = definePass({
  name: "bound-positions",
  doc: "The program has room for no more positions than the model's tables do.",
  async run(graph, { options, report }) {
    if (!graph.inputs.some((input) => nameOf(input) === "tokens")) return;
    const frontier = positionFunctions(graph);
    const capacity = capacityOf(graph);
    const reach = await largestThatWorks(frontier, capacity);
    if (reach === capacity) return;
    if (options.maxSeqLen !== undefined) report(diagnostics.tooFewPositions(options.maxSeqLen, reach));
    const b = graph.edit("bound-positions");
    b.substitute(
      new Map([
        ["S", sequenceLength(reach)],
        ["P", pastLength(reach)],
      ]),
    );
  },
});

/** Values that follow from positions alone, where they meet what does not. */
function positionFunctions(graph: Graph): readonly Value[] {
  const known = new Map<Value, boolean>();
  const isFunction = (value: Value): boolean => {
    if (!known.has(value)) known.set(value, value.node !== undefined && dependsOnPositionsOnly(value));
    return known.get(value)!;
  };
  return graph.nodes
    .flatMap((node) => node.results)
    .filter((value) => isFunction(value) && [...value.users].some((user) => !user.results.every(isFunction)));
}

async function largestThatWorks(values: readonly Value[], capacity: number): Promise<number> {
  const works = async (length: number): Promise<boolean> => {
    try {
      for (const value of values)
        await (dependsOnPast(value) ? evaluateAt(value, length - 1, 1) : evaluateAt(value, 0, length));
      return true;
    } catch (error) {
      if (error instanceof RangeError) return false;
      throw error;
    }
  };
  if (await works(capacity)) return capacity;
  let [low, high] = [1, capacity];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (await works(middle)) low = middle;
    else high = middle;
  }
  return low;
}
