import type { Node, Value } from "../../../ir/graph.ts";
import { type Dim, sameDim } from "../../../tensor/dim.ts";
import type { Matching } from "./group.ts";

/** Where the heads [1, H, S, D] of a query, key or value come from. */
export interface Heads {
  /** [1, S, H·D], where the heads of a token lie side by side. */
  readonly source: Value;
  readonly heads: number;
  readonly width: number;
  readonly rope: Node | undefined;
  /** A norm of each head before it is rotated. */
  readonly norm: Node | undefined;
  /** The nodes between the source and the attention, in no order. */
  readonly nodes: readonly Node[];
}

/** An nn.sdpa with all that is private to it. */
export interface AttentionMatch {
  readonly sdpa: Node;
  readonly query: Heads;
  readonly key: Heads;
  readonly value: Heads;
  /** Writes of the new keys and values to their caches; both or none. */
  readonly updates: { readonly key: Node; readonly value: Node } | undefined;
  /** [1, S, H·Dv]: the result with the heads of a token side by side. */
  readonly result: Value;
  readonly nodes: readonly Node[];
}

/** Reads a decoder's attention out of the graph; undefined where it is laid out in another way. */
export function matchAttention(sdpa: Node, matching: Matching): AttentionMatch | undefined {
  const updates = updatesOf(sdpa, matching);
  if (updates === undefined && sdpa.optional("start_pos") !== undefined) return undefined;
  const query = headsOf(sdpa.arg("q"), [sdpa], matching);
  const key = headsOf(updates ? updates.key.arg("new") : sdpa.arg("k"), [updates?.key ?? sdpa], matching);
  const value = headsOf(
    updates ? updates.value.arg("new") : sdpa.arg("v"),
    [updates?.value ?? sdpa],
    matching,
  );
  const result = tokensOf(sdpa, matching);
  if (query === undefined || key === undefined || value === undefined || result === undefined)
    return undefined;
  if (value.rope !== undefined || value.norm !== undefined) return undefined;
  if (!ropesAgree(query.rope, key.rope)) return undefined;
  return {
    sdpa,
    query,
    key,
    value,
    updates,
    result: result.value,
    nodes: [
      sdpa,
      ...query.nodes,
      ...key.nodes,
      ...value.nodes,
      ...(updates ? [updates.key, updates.value] : []),
      ...result.nodes,
    ],
  };
}

/** One kernel rotates both with one table. */
function ropesAgree(query: Node | undefined, key: Node | undefined): boolean {
  if (query === undefined || key === undefined) return query === key;
  const sameArg = (name: string) => query.optional(name) === key.optional(name);
  return ["cos", "sin", "start_pos"].every(sameArg) && query.attrs.interleaved === key.attrs.interleaved;
}

function updatesOf(sdpa: Node, matching: Matching): AttentionMatch["updates"] {
  const [key, value] = [sdpa.arg("k").node, sdpa.arg("v").node];
  if (key?.op !== "kv.update" || value?.op !== "kv.update" || key === value) return undefined;
  const arePrivate = [key, value].every((node) => matching.isPrivate(node.results[0]!, [sdpa]));
  return arePrivate ? { key, value } : undefined;
}

/** Goes back from [1, H, S, D] over rope, a norm and the split into heads to [1, S, H·D]. */
function headsOf(value: Value, users: readonly Node[], matching: Matching): Heads | undefined {
  const nodes: Node[] = [];
  let at = value;
  const step = (op: string): Node | undefined => {
    const node = at.node;
    if (
      node?.op !== op ||
      matching.isClaimed(node) ||
      !matching.isPrivate(at, nodes.length > 0 ? nodes : users)
    )
      return undefined;
    nodes.push(node);
    at = node.arg("x");
    return node;
  };
  const [, heads, , width] = value.type.shape;
  if (value.type.shape.length !== 4 || typeof heads !== "number" || typeof width !== "number")
    return undefined;
  const rope = step("nn.rope");
  const lateNorm = step("nn.rms_norm");
  const transpose = step("transpose");
  if (transpose === undefined || !isHeadSwap(transpose)) return undefined;
  const norm = lateNorm ?? step("nn.rms_norm");
  const reshape = step("reshape");
  const isSplit = reshape !== undefined && splitsHeads(at.type.shape, reshape.results[0]!.type.shape);
  return isSplit ? { source: at, heads, width, rope, norm, nodes } : undefined;
}

const isHeadSwap = ({ attrs }: Node): boolean => String(attrs.perm) === "0,2,1,3";

/** [1, S, H·D] as [1, S, H, D]. */
const splitsHeads = (from: readonly Dim[], to: readonly Dim[]): boolean =>
  from.length === 3 &&
  to.length === 4 &&
  from[0] === 1 &&
  to[0] === 1 &&
  sameDim(from[1]!, to[1]!) &&
  from[2] === (to[2] as number) * (to[3] as number);

/** Goes on from the attention's [1, H, S, Dv] to [1, S, H·Dv]. */
function tokensOf(sdpa: Node, matching: Matching): { value: Value; nodes: readonly Node[] } | undefined {
  const transpose = matching.soleUser(sdpa.results[0]!);
  if (transpose?.op !== "transpose" || !isHeadSwap(transpose)) return undefined;
  const reshape = matching.soleUser(transpose.results[0]!);
  if (reshape?.op !== "reshape") return undefined;
  const value = reshape.results[0]!;
  const joins = splitsHeads(value.type.shape, transpose.results[0]!.type.shape);
  return joins ? { value, nodes: [transpose, reshape] } : undefined;
}
