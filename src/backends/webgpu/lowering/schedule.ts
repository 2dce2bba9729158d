import type { Graph } from "../../../ir/graph.ts";
import type { PlanSchedule } from "../../../runtime/webgpu/plan.ts";
import { type Dim, maxOf, substituteDim, symbol, symbolBounds } from "../../../tensor/dim.ts";

/** The sizes of calls that one list of steps is for. */
export interface Schedule {
  readonly name: string;
  readonly when: PlanSchedule["when"];
  /** A size of the graph, in such a call. */
  size(dim: Dim): Dim;
}

/** Tokens of a prompt that one call takes: more give no more speed, and take more memory. */
const longestCall = 512;

/**
 * Decode, one token after others; prefill, several. A graph that keeps nothing from call to call has one schedule for
 * calls of every size, since it computes the whole sequence anew.
 */
export function schedulesOf(graph: Graph, callSize: number): readonly Schedule[] {
  const tokens = tokensOf(graph);
  if (tokens === undefined) return [{ name: "call", when: [], size: (dim) => dim }];
  const schedule = (name: string, min: number, max: number): Schedule => {
    const by = new Map<string, Dim>([["S", min === max ? min : symbol("S", max, min)]]);
    return { name, when: [{ symbol: "S", min, max }], size: (dim) => substituteDim(dim, by) };
  };
  const longest = Math.min(tokens.max, callSize);
  if (graph.states.length === 0) return [schedule("call", tokens.min, longest)];
  return [
    ...(tokens.min <= 1 ? [schedule("decode", 1, 1)] : []),
    ...(longest > 1 ? [schedule("prefill", Math.max(2, tokens.min), longest)] : []),
  ];
}

/**
 * Tokens that one call may have: as many as there is use for, or fewer where the largest value of the graph would
 * else be larger than `bytes`, or twice that all that its steps keep for a while.
 */
export function callSizeOf(graph: Graph, bytes: number): number {
  const perCall = graph.states.length === 0 ? Number.POSITIVE_INFINITY : longestCall;
  let size = Math.min(perCall, tokensOf(graph)?.max ?? 1);
  while (size > 1 && largestValue(graph, size) > bytes) size = Math.floor(size / 2);
  return size;
}

/** Bounds of the number of tokens in a call, where the inputs have one. */
function tokensOf({ inputs }: Graph): { readonly min: number; readonly max: number } | undefined {
  const bounds = new Map<string, { min: number; max: number }>();
  for (const { type } of inputs) for (const dim of type.shape) symbolBounds(dim, bounds);
  return bounds.get("S");
}

function largestValue(graph: Graph, tokens: number): number {
  const by = new Map<string, Dim>([["S", tokens]]);
  let largest = 0;
  for (const { results } of graph.nodes)
    for (const { type } of results) {
      const elements = type.shape.reduce<number>(
        (product, dim) => product * maxOf(substituteDim(dim, by)),
        1,
      );
      largest = Math.max(largest, 4 * elements);
    }
  return largest;
}
