import type { Builder, Node, Value } from "../../ir/graph.ts";
import { inlineWeight, type WeightRef } from "../../ir/weights.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { maxSeqLenOf } from "../canonical/bind-dimensions.ts";
import { evaluate, leavesOf } from "../evaluate.ts";
import { definePass, type PassContext } from "../pass.ts";
import { reportOf } from "../rule.ts";

/**
 * Rotary tables and attention masks depend on positions alone, so they can be computed ahead of time,
 * whatever arithmetic an exporter spelled them with: cos and sin become tables indexed by position, and a mask
 * that turns out causal for a choice of lengths becomes an attribute.
 */
export const resolvePositions = definePass({
  name: "resolve-positions",
  doc: "Computes rotary tables ahead of time and recognises causal masks by their values.",
  async run(graph, context) {
    const b = graph.edit("resolve-positions");
    const capacity = maxSeqLenOf(context);
    const startPos = graph.inputs.find(
      (input) => input.def.kind === "input" && input.def.name === "start_pos",
    );
    const tables = new Map<Value, Promise<Value | string>>();
    const masks = new Map<Value, Promise<Causality | string>>();
    for (const node of graph.nodes) {
      if (node.op === "nn.rope" && node.args.start_pos === undefined)
        await tabulate(b, node, startPos, capacity, tables, context);
      if (node.op === "nn.sdpa") await recogniseMask(b, node, capacity, masks, context);
    }
  },
});

const dependsOnPositionsOnly = (value: Value): boolean =>
  [...leavesOf(value)].every(
    ({ def, contents }) =>
      def.kind === "const" || def.kind === "dims" || (def.kind === "input" && contents !== undefined),
  );

const at = (P: number, S: number) => ({
  symbols: new Map([
    ["P", P],
    ["S", S],
  ]),
});

async function tabulate(
  b: Builder,
  node: Node,
  startPos: Value | undefined,
  capacity: number,
  tables: Map<Value, Promise<Value | string>>,
  context: PassContext,
): Promise<void> {
  const table = async (perToken: Value): Promise<Value | string> => {
    const made = await positionTable(perToken, capacity);
    return typeof made === "string" ? made : b.constant(made);
  };
  const resolved: Value[] = [];
  for (const perToken of [node.arg("cos"), node.arg("sin")]) {
    if (!tables.has(perToken)) tables.set(perToken, table(perToken));
    const made = await tables.get(perToken)!;
    if (typeof made === "string") {
      reportOf(context, "position-table").misses.push({ why: made, at: node.loc.source });
      return;
    }
    resolved.push(made);
  }
  const [cos, sin] = resolved as [Value, Value];
  b.replace(
    node.results[0]!,
    b(
      "nn.rope",
      { x: node.arg("x"), cos, sin, start_pos: startPos },
      { interleaved: node.attrs.interleaved as boolean },
    ),
  );
  reportOf(context, "position-table").matched++;
}

/** f32 [capacity, width]: a row for each position, from a value [1, S, width] that gives the rows of S positions. */
async function positionTable(perToken: Value, capacity: number): Promise<WeightRef | string> {
  if (!dependsOnPositionsOnly(perToken)) return "cos or sin depends on more than positions";
  const all = await evaluate(perToken, at(0, capacity));
  const width = all.shape.at(-1)!;
  const some = await evaluate(perToken, at(Math.min(3, capacity - 2), 2));
  const isShift =
    all.data.length === capacity * width &&
    some.data.every(
      (value, i) => value === all.data[Math.min(3, capacity - 2) * width + i] || dependsOnNoPast(perToken),
    );
  return isShift
    ? inlineWeight({ ...all, shape: [capacity, width] }, `positions ${capacity} of ${perToken.id}`)
    : "cos or sin does not follow start_pos";
}

const dependsOnNoPast = (value: Value): boolean =>
  ![...leavesOf(value)].some(({ contents }) =>
    contents?.some((dim) => typeof dim !== "number" && /\bP\b/.test(dim.key)),
  );

interface Causality {
  /** Keys that a query sees, itself included; 0: all. */
  readonly window: number;
}

async function recogniseMask(
  b: Builder,
  node: Node,
  capacity: number,
  masks: Map<Value, Promise<Causality | string>>,
  context: PassContext,
): Promise<void> {
  const mask = node.args.mask as Value | undefined;
  if (mask === undefined || mask.users.size === 0) return;
  if (!masks.has(mask)) masks.set(mask, classifyMask(mask, capacity, node.attrs.causal as boolean));
  const kind = await masks.get(mask)!;
  const report = reportOf(context, "causal-mask");
  if (typeof kind === "string") {
    report.misses.push({ why: kind, at: node.loc.source });
    return;
  }
  const { q, k, v } = node.args as Record<"q" | "k" | "v", Value>;
  const window = kind.window || (node.attrs.window as number);
  b.replace(
    node.results[0]!,
    b(
      "nn.sdpa",
      { q, k, v },
      { ...(node.attrs as { scale: number; softcap: number }), causal: true, window },
    ),
  );
  report.matched++;
}

/** Lengths (past, new) to look at: no past, some past, and the longest row, which shows a window. */
const probes = (capacity: number): readonly (readonly [number, number])[] => [
  [0, 1],
  [0, Math.min(7, capacity)],
  [Math.min(5, capacity - 3), 3],
  [capacity - 1, 1],
];

/** Whether a mask lets query i see exactly the keys up to its own position, or a window of them. */
async function classifyMask(
  mask: Value,
  capacity: number,
  isCausalAlready: boolean,
): Promise<Causality | string> {
  if (!dependsOnPositionsOnly(mask)) return "the mask depends on more than positions";
  const hasPast =
    !dependsOnNoPast(mask) || mask.type.shape.some((dim) => typeof dim !== "number" && /\bP\b/.test(dim.key));
  let window = 0;
  for (const [past, length] of [...probes(capacity)].reverse()) {
    const [P, S] = hasPast ? [past, length] : [0, past + length];
    const values = await evaluate(mask, at(P, S));
    const total = P + S;
    if (total === capacity) window = visibleKeys(values, S, total);
    const wrong = firstDifference(values, P, S, window, isCausalAlready);
    if (wrong) return wrong;
  }
  return { window: window >= capacity ? 0 : window };
}

/** 1 for a key that is seen, 0 for one that is not, NaN for a score that is shifted. */
function visibility({ dtype, data }: Tensor, index: number): number {
  const value = data[index]!;
  if (dtype === "bool") return value;
  return value === 0 ? 1 : value <= -1e4 ? 0 : Number.NaN;
}

/** Keys that the last query sees, back from its own. */
function visibleKeys(mask: Tensor, S: number, total: number): number {
  const [rows, columns] = [mask.shape.at(-2) ?? 1, mask.shape.at(-1)!];
  let seen = 0;
  const row = rows === 1 ? 0 : S - 1;
  if (columns === 1) return total;
  while (seen < total && visibility(mask, row * columns + total - 1 - seen) === 1) seen++;
  return seen;
}

function firstDifference(
  mask: Tensor,
  P: number,
  S: number,
  window: number,
  isCausalAlready: boolean,
): string | undefined {
  const total = P + S;
  const [rows, columns] = [mask.shape.at(-2) ?? 1, mask.shape.at(-1)!];
  const planes = mask.data.length / (rows * columns);
  for (let plane = 0; plane < planes; plane++)
    for (let i = 0; i < S; i++)
      for (let j = 0; j < total; j++) {
        const index = (plane * rows + (rows === 1 ? 0 : i)) * columns + (columns === 1 ? 0 : j);
        const isSeen = visibility(mask, index);
        const isCausal = j <= P + i;
        if (Number.isNaN(isSeen))
          return `the mask shifts scores: ${mask.data[index]} for query ${i} and key ${j}`;
        if (isCausalAlready && !isCausal) continue;
        const expected = isCausal && (window === 0 || j > P + i - window) ? 1 : 0;
        if (isSeen !== expected)
          return `with ${P} past and ${S} new tokens, query ${i} ${isSeen ? "sees" : "does not see"} key ${j}: the mask is not causal`;
      }
  return undefined;
}
