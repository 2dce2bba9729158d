import type { Dim } from "../../../../tensor/dim.ts";
import {
  type BoundRows,
  type Heads,
  type Rows,
  type Scoring,
  stridesOf,
  type VectorWidth,
  vectorWidth,
} from "../../attention.ts";
import { wgslSize } from "../../wgsl.ts";

/** A mask, broadcast to the scores [1, H, S, T]; in elements, with stride 0 along an axis that it lacks. */
export interface AttentionMask {
  /** `bool`: u32 elements, 0 for keys that are not seen. `float`: added to the scores. */
  readonly kind: "bool" | "float";
  readonly access: "constant" | "value";
  readonly headStride: Dim;
  readonly queryStride: Dim;
  readonly keyStride: Dim;
}

export interface AttentionPrefillParams extends Heads, Scoring {
  /** S. */
  readonly tokens: Dim;
  /** T: keys that there are; P + S where they are in caches. */
  readonly keys: Dim;
  /** The position of token 0 among the keys: P, or T - S. */
  readonly first: Dim;
  /** Whether a query sees no keys after its own. */
  readonly causal: boolean;
  /** Rotated already. */
  readonly query: BoundRows;
  /** `cacheRows(…)`, or rows of T keys. */
  readonly key: BoundRows;
  readonly value: BoundRows;
  readonly out: Rows;
  readonly mask: AttentionMask | undefined;
}

export const prefillVector = (params: AttentionPrefillParams): VectorWidth =>
  vectorWidth(
    params.width,
    params.valueWidth,
    ...[params.query, params.key, params.value, params.out].flatMap(stridesOf),
  );

/** Query heads that share a key head. */
export const sharing = ({ queryHeads, keyHeads }: Heads): number => queryHeads / keyHeads;

/** Whether the query at `position` sees key `key`, which is below `keys`: a WGSL expression. */
export function isSeen(params: AttentionPrefillParams, key: string, position: string): string {
  const parts = [
    `${key} < ${wgslSize(params.keys)}`,
    ...(params.causal ? [`${key} <= ${position}`] : []),
    ...(params.window > 0 ? [`${key} + ${params.window}u > ${position}`] : []),
  ];
  return parts.join(" && ");
}

/** WGSL: `earliest` and `to` bound the keys that any of the tokens `first_token` to `last_token` sees. */
export function keyRange(params: AttentionPrefillParams): string {
  const { first, keys, causal, window } = params;
  const [start, all] = [wgslSize(first), wgslSize(keys)];
  return `let to = ${causal ? `min(${all}, ${start} + last_token + 1u)` : all};
  let earliest = ${window > 0 ? `max(${start} + first_token + 1u, ${window}u) - ${window}u` : "0u"};`;
}

/** WGSL functions `is_shown(head, token, key)` and `masked(score, head, token, key)`. */
export function maskFunction({ mask }: AttentionPrefillParams): string {
  if (mask === undefined) return "";
  const at = `head * ${wgslSize(mask.headStride)} + token * ${wgslSize(mask.queryStride)} + key * ${wgslSize(mask.keyStride)}`;
  return `fn is_shown(head: u32, token: u32, key: u32) -> bool {
  return ${mask.kind === "bool" ? `mask[${at}] != 0u` : `bitcast<u32>(mask[${at}]) != 0xff800000u`};
}
fn masked(score: f32, head: u32, token: u32, key: u32) -> f32 {
  return ${mask.kind === "bool" ? "score" : `score + mask[${at}]`};
}
`;
}

/** A score out of a product: WGSL. */
export function scoreOf(params: AttentionPrefillParams, product: string, key: string): string {
  const capped = params.softcap > 0 ? `capped(${product})` : product;
  return params.mask === undefined ? capped : `masked(${capped}, head, token, ${key})`;
}
