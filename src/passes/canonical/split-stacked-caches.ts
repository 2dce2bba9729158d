import type { Builder, Graph, Value } from "../../ir/graph.ts";
import { sameShape } from "../../ir/type.ts";
import { additionOf } from "../caches.ts";
import { nameOf } from "../decoder.ts";
import { definePass } from "../pass.ts";
import { scalarOf } from "../pattern.ts";

/**
 * Old exports stack the keys and values of a layer in one tensor [2, batch, heads, positions, width], going in
 * and coming out. They become two caches.
 */
export const splitStackedCaches = definePass({
  name: "split-stacked-caches",
  doc: "A cache that holds keys and values in one tensor becomes one for each.",
  run(graph) {
    const b = graph.edit("split-stacked-caches");
    for (const { name, value } of [...graph.outputs]) {
      const stack = stackOf(value);
      if (stack !== undefined) split(b, graph, name, stack);
    }
  },
});

interface Stack {
  readonly past: Value;
  /** What is stacked, in order. */
  readonly presents: readonly Value[];
}

/** The parts of an output that stacks caches, all of one input and in its order. */
function stackOf(output: Value): Stack | undefined {
  const { node } = output;
  if (node?.op !== "concat" || node.attrs.axis !== 0) return undefined;
  const presents = node.list("inputs").map(withoutLeadingOne);
  const pasts = presents.map((present, i) => present && partOfPast(present, i));
  const [past] = pasts;
  const isStack =
    past?.type.shape[0] === presents.length &&
    pasts.every((each) => each === past) &&
    partsOf(past) !== undefined;
  return isStack ? { past, presents: presents as Value[] } : undefined;
}

/** The x of reshape(x, [1, …x]). */
function withoutLeadingOne(value: Value): Value | undefined {
  const x = value.node?.op === "reshape" ? value.node.arg("x") : undefined;
  const isUnsqueeze = x && value.type.shape[0] === 1 && value.type.shape.length === x.type.shape.length + 1;
  return isUnsqueeze ? x : undefined;
}

/** The input whose part `i` a present is computed from. */
function partOfPast(present: Value, i: number): Value | undefined {
  const cache = present.node && additionOf(present.node)?.cache;
  const part = cache && partOf(cache);
  return part?.index === i && part.of.def.kind === "input" ? part.of : undefined;
}

/** i and x, for x[i], gathered or sliced. */
function partOf({ node, type }: Value): { readonly of: Value; readonly index: number } | undefined {
  if (node?.op === "gather" && node.attrs.axis === 0) {
    const indices = node.arg("indices");
    const index = indices.type.shape.length === 0 ? scalarOf(indices) : undefined;
    return index === undefined ? undefined : { of: node.arg("x"), index };
  }
  const slice = node?.op === "reshape" ? node.arg("x").node : undefined;
  if (slice?.op !== "slice") return undefined;
  const of = slice.arg("x");
  const [start, end] = [slice.arg("starts").contents?.[0], slice.arg("ends").contents?.[0]];
  const isOne = typeof start === "number" && start >= 0 && end === start + 1;
  const isPart =
    (slice.attrs.axes as readonly number[]).join() === "0" && sameShape(type.shape, of.type.shape.slice(1));
  return isOne && isPart ? { of, index: start } : undefined;
}

/** The values that are parts of a stack; undefined where it is used in another way too. */
function partsOf(stack: Value): ReadonlyMap<Value, number> | undefined {
  const parts = new Map<Value, number>();
  for (const { op, results } of stack.users) {
    const views = op === "slice" ? [...results[0]!.users].map((user) => user.results[0]!) : [results[0]!];
    for (const view of views) {
      const part = partOf(view);
      if (part?.of !== stack) return undefined;
      parts.set(view, part.index);
    }
  }
  return parts;
}

function split(b: Builder, graph: Graph, name: string, { past, presents }: Stack): void {
  const { dtype, shape } = past.type;
  const parts = presents.map((_, i) => b.input(`${nameOf(past)}.${i}`, { dtype, shape: shape.slice(1) }));
  for (const [value, index] of partsOf(past)!) b.replace(value, parts[index]!);
  for (const [i, present] of presents.entries()) b.output(`${name}.${i}`, present);
  b.removeOutput(name);
  b.sweep();
  if (graph.inputs.includes(past) && past.users.size === 0) b.removeInput(past);
}
