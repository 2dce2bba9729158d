import type { Graph, Node, Value } from "../../ir/graph.ts";
import type { Options } from "../../options.ts";
import { symbolsOf } from "../../tensor/dim.ts";
import type { DType } from "../../tensor/dtype.ts";
import { type CachedAttention, cachedAttentions, swapHeads } from "../cached-attention.ts";
import type { Refusal } from "../refusal.ts";
import { callBounds, sizeSources } from "../sizes.ts";
import { emitCachedAttention } from "./cached-attention.ts";
import { decompositions } from "./decompositions/index.ts";
import { type DelegateStep, Emitter } from "./emitter.ts";
import type { PortableGraph, PortableTensor } from "./value.ts";

/** What the kernels used here compute with. */
const dtypes: ReadonlySet<DType> = new Set([
  "f64",
  "f32",
  "f16",
  "bf16",
  "i64",
  "i32",
  "i16",
  "i8",
  "u8",
  "bool",
] satisfies DType[]);

/** Everything among a graph's nodes that cannot be lowered. */
export function portableRefusals(graph: Graph, nodes = graph.nodes): readonly Refusal[] {
  const measured = graph.nodes.flatMap((node) => decompositions.get(node.op)?.measures?.(node) ?? []);
  const known = new Set([...sizeSources(graph).keys(), ...measured]);
  return nodes.flatMap((node) => {
    const why = refusalOf(node, known);
    return why === undefined ? [] : [{ op: node.op, source: node.loc.source, why }];
  });
}

function refusalOf(node: Node, known: ReadonlySet<string>): string | undefined {
  const decomposition = decompositions.get(node.op);
  if (decomposition === undefined) return "it has no portable kernel";
  for (const { type, def } of [...node.operands, ...node.results]) {
    if (def.kind !== "dims" && !dtypes.has(type.dtype))
      return `there are no portable kernels for ${type.dtype}`;
    for (const size of type.shape)
      for (const name of symbolsOf(size))
        if (!known.has(name)) return `no input says what the size ${name} is`;
  }
  return decomposition.refuse?.(node);
}

/** A node for kernels, or what a delegate computes. */
export type Step = Node | DelegateStep;

/**
 * The graph as calls.
 * @param steps its nodes, in an order in which they can run, with some of them replaced by delegates
 * @throws Error where something is refused
 */
export function lowerToKernels(
  graph: Graph,
  customOps: Options["customOps"] = "none",
  steps: readonly Step[] = graph.nodes,
  bounds = callBounds(graph),
): PortableGraph {
  const e = new Emitter(graph, bounds);
  const cached = customOps === "llama" ? cachedAttentions(graph).filter(isUnambiguous) : [];
  const attentions = new Map<Node, CachedAttention>(cached.map((each) => [each.attention, each]));
  const swapped = new Set(cached.flatMap(({ caches }) => caches));
  const written = new Set(cached.flatMap(({ updates }) => updates));
  const inputs = graph.inputs.map((input) => named(e, input, { kind: "arena" }));
  const kept = new Set(steps.flatMap((step) => ("op" in step ? step.operands : step.inputs)));
  const ownStates = graph.states.filter((state) => kept.has(state));
  const states = ownStates.map((state) =>
    named(e, state, { kind: "state", state: nameOf(state) }, swapped.has(state)),
  );
  for (const node of steps) {
    if (!("op" in node)) {
      e.delegate(node);
      continue;
    }
    if (written.has(node)) continue;
    const attention = attentions.get(node);
    if (attention !== undefined) {
      e.bind(node.results[0]!, emitCachedAttention(e, attention));
      continue;
    }
    const results = decompositions.get(node.op)!.emit(e, node);
    node.results.forEach((result, i) => {
      e.bind(result, results[i]!);
    });
  }
  const taken = new Set<PortableTensor>([...inputs, ...states]);
  const outputs = graph.outputs.map(({ name, value }) => {
    const tensor = e.tensor(value);
    const isOwn = tensor.storage.kind === "arena" && !taken.has(tensor);
    const own = isOwn ? tensor : copy(e, tensor);
    taken.add(own);
    return { tensor: own, name };
  });
  return {
    inputs,
    outputs: outputs.map(({ tensor }) => tensor),
    outputNames: outputs.map(({ name }) => name),
    states,
    calls: e.calls,
  };
}

/** The kernel looks at a cache's shape for which axis is of positions: heads must be another number. */
const isUnambiguous = ({ caches: [keys] }: CachedAttention): boolean =>
  keys.type.shape[1] !== keys.type.shape[2];

/** @param isSwapped whether a cache [B, H, C, D] lies in memory as [B, C, H, D] */
function named(
  e: Emitter,
  value: Value,
  storage: PortableTensor["storage"],
  isSwapped = false,
): PortableTensor {
  const { dtype, shape } = value.type;
  const type = { dtype, shape: isSwapped ? swapHeads(shape) : shape };
  const tensor = e.newTensor(type, storage, nameOf(value));
  e.bind(value, tensor);
  return tensor;
}

function nameOf({ def }: Value): string {
  if (def.kind !== "input" && def.kind !== "state") throw new Error(`a ${def.kind} has no name`);
  return def.name;
}

/** An output has memory of its own. */
const copy = (e: Emitter, x: PortableTensor): PortableTensor =>
  e.op("aten::view_copy.out", { self: x, size: x.shape.map((size) => e.size(size)) }, x);
