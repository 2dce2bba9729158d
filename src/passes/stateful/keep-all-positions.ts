import type { Builder, Node, Value } from "../../ir/graph.ts";
import { addDims, type Dim, sameDim } from "../../tensor/dim.ts";
import { inputNamed } from "../decoder.ts";
import { definePass } from "../pass.ts";

/**
 * Some exporters compute the logits of the last token only. Which ones to return is the compiler's option, so
 * that the head is put back behind all tokens.
 */
export const keepAllPositions = definePass({
  name: "keep-all-positions",
  doc: "A head behind the last token only is put behind all of them.",
  run(graph) {
    const logits = graph.outputs.find(({ name }) => name === "logits");
    const tokens = inputNamed(graph, "tokens");
    const selection = logits && tokens && selectionBehind(logits.value, tokens.type.shape[1]!);
    if (selection === undefined) return;
    const b = graph.edit("keep-all-positions");
    const full = selection.steps.reduceRight((x, step) => again(b, step, x), selection.all);
    b.removeOutput("logits");
    b.output("logits", full);
  },
});

/** A node that treats each token by itself, and its argument that tokens flow through. */
interface Step {
  readonly node: Node;
  readonly flow: string;
}

const again = (b: Builder, { node, flow }: Step, x: Value): Value =>
  b.untyped(node.op, { ...node.args, [flow]: x }, node.attrs)[0]!;

/**
 * The tensor from which the last token is taken, and what is done to that token since, the last step first.
 * @param length tokens in a call
 */
function selectionBehind(
  logits: Value,
  length: Dim,
): { readonly all: Value; readonly steps: readonly Step[] } | undefined {
  const steps: Step[] = [];
  for (let value = logits; value.node !== undefined; ) {
    const { node } = value;
    if (takesLast(node, length)) return { all: node.arg("x"), steps };
    if (node.op === "reshape" && hasSameSizes(node.arg("x"), value)) {
      value = node.arg("x");
      continue;
    }
    const flow = flowOf(node);
    if (flow === undefined) return undefined;
    steps.push({ node, flow });
    value = node.arg(flow);
  }
  return undefined;
}

/** Arithmetic with a number or a vector treats tokens one by one too. */
const arithmetic: ReadonlySet<string> = new Set(["mul", "div", "add"]);

function flowOf({ op, def, args, operands }: Node): string | undefined {
  const flow = def.rowwise ?? (arithmetic.has(op) ? "a" : undefined);
  if (flow === undefined) return undefined;
  const others = operands.filter((operand) => operand !== args[flow]);
  const isTokenwise = others.every(
    (other) => other.def.kind === "const" && (flow === def.rowwise || other.type.shape.length < 2),
  );
  return isTokenwise ? flow : undefined;
}

/** Whether a node takes the last of the tokens of [batch, tokens, …]. */
function takesLast(node: Node, length: Dim): boolean {
  if (node.op !== "slice" && node.op !== "gather") return false;
  const [, tokens] = node.arg("x").type.shape;
  if (tokens === undefined || !sameDim(tokens, length)) return false;
  const isLast = (at: Dim | undefined) => at !== undefined && (at === -1 || sameDim(at, addDims(length, -1)));
  if (node.op === "gather")
    return (
      node.attrs.axis === 1 &&
      node.arg("indices").contents?.length === 1 &&
      isLast(node.arg("indices").contents![0])
    );
  const axes = node.attrs.axes as readonly number[];
  const [end] = node.arg("ends").contents ?? [];
  return (
    axes.length === 1 &&
    axes[0] === 1 &&
    isLast(node.arg("starts").contents?.[0]) &&
    end !== undefined &&
    sameDim(end, length)
  );
}

/** Whether two shapes differ in axes of size 1 only. */
function hasSameSizes(a: Value, b: Value): boolean {
  const [x, y] = [a, b].map(({ type }) => type.shape.filter((size) => size !== 1)) as [Dim[], Dim[]];
  return x.length === y.length && x.every((size, i) => sameDim(size, y[i]!));
}
