import type { Builder, Value } from "../../../ir/graph.ts";
import {
  castTo,
  expandTo,
  literal,
  rangeOf,
  reshapeTo,
  shapeOf,
  sizeOf,
  transposeLast,
  transposeTo,
} from "../../../ir/shorthand.ts";
import {
  addDims,
  type Dim,
  floorDivideDims,
  multiplyDims,
  sameDim,
  subtractDims,
} from "../../../tensor/dim.ts";
import type { DType } from "../../../tensor/dtype.ts";

/** [B, S, H·D] → [B, H, S, D] */
export function splitHeads(b: Builder, x: Value, heads: Dim): Value {
  const [batch, length, hidden] = shapeOf(x) as [Dim, Dim, Dim];
  return transposeTo(
    b,
    reshapeTo(b, x, [batch, length, heads, floorDivideDims(hidden, heads)]),
    [0, 2, 1, 3],
  );
}

/** [B, H, S, D] → [B, S, H·D] */
export function mergeHeads(b: Builder, x: Value): Value {
  const [batch, heads, length, width] = shapeOf(x) as [Dim, Dim, Dim, Dim];
  return reshapeTo(b, transposeTo(b, x, [0, 2, 1, 3]), [batch, length, multiplyDims(heads, width)]);
}

/** The cache [B, H, P, D] followed by the new rows [B, H, S, D]. */
export const appendRows = (b: Builder, past: Value | undefined, rows: Value): Value =>
  past === undefined ? rows : b("concat", { inputs: [past, rows] }, { axis: 2 });

/** 1/√D in f32, as programs carry it. */
export const naturalScale = (width: number): number => Math.fround(1 / Math.sqrt(width));

/** Which keys a query sees by its position, which is its row plus `offset`. */
export interface Visibility {
  /** Keys before the first query: one number, or i64 [B, 1, 1, 1]. */
  readonly offset: Dim | Value;
  readonly causal: boolean;
  /** Keys seen to the left and right of the query's own position; -1: all. */
  readonly left: number;
  readonly right: number;
}

export interface AttentionInputs {
  /** [B, H, S, D] */
  readonly q: Value;
  /** [B, Hk, T, D] */
  readonly k: Value;
  /** [B, Hk, T, Dv] */
  readonly v: Value;
  /** Broadcasts to [B, H, S, T]: bool (see) or float (added to the scores). */
  readonly mask?: Value | undefined;
  readonly visibility: Visibility;
  readonly scale: number;
  /** 0: none. */
  readonly softcap: number;
}

const isValue = (offset: Dim | Value): offset is Value => typeof offset === "object" && "type" in offset;

/** Attention as one `nn.sdpa`, with visibility as its attributes where those can say it, else as a mask. */
export function attend(b: Builder, inputs: AttentionInputs): Value {
  const { q, k, v, visibility, scale, softcap } = inputs;
  const { offset, left } = visibility;
  const isCausal = visibility.causal || visibility.right === 0;
  const isAligned = !isValue(offset) && sameDim(offset, subtractDims(sizeOf(k, 2), sizeOf(q, 2)));
  const isNative = isCausal ? isAligned : left < 0 && visibility.right < 0;
  const mask = isNative ? inputs.mask : combineMasks(b, inputs.mask, visibilityMask(b, inputs));
  const attrs = isNative && isCausal ? { causal: true, window: left + 1 } : { causal: false, window: 0 };
  return b("nn.sdpa", { q, k, v, ...(mask && { mask }) }, { ...attrs, scale, softcap });
}

/** bool [S, T] or [B, 1, S, T]; undefined where every query sees every key. */
function visibilityMask(b: Builder, { q, k, visibility }: AttentionInputs): Value | undefined {
  const { offset, causal, left, right } = visibility;
  const least = causal ? 0 : right >= 0 ? -right : undefined;
  if (least === undefined && left < 0) return undefined;
  const rows = reshapeTo(b, rangeOf(b, 0, sizeOf(q, 2)), [sizeOf(q, 2), 1]);
  const positions = b("add", { a: rows, b: isValue(offset) ? offset : b.dims(offset) });
  const distance = b("sub", { a: positions, b: rangeOf(b, 0, sizeOf(k, 2)) });
  const isNotAfter = least === undefined ? undefined : b("greater_equal", { a: distance, b: b.dims(least) });
  const isNear = left < 0 ? undefined : b("less_equal", { a: distance, b: b.dims(left) });
  return combineMasks(b, isNotAfter, isNear);
}

/** Both masks as one; a key that a bool one hides is at -∞ in a float one. */
export function combineMasks(
  b: Builder,
  mask: Value | undefined,
  visible: Value | undefined,
): Value | undefined {
  if (mask === undefined || visible === undefined) return mask ?? visible;
  if (mask.type.dtype === "bool") return b("and", { a: mask, b: visible });
  return b("where", { condition: visible, a: mask, b: literal(b, mask.type.dtype, -Infinity) });
}

/** bool [B, 1, 1, T]: the first `lengths` (i64 [B]) keys of each batch. */
export function lengthMask(b: Builder, lengths: Value, keys: Dim): Value {
  const limits = reshapeTo(b, castTo(b, lengths, "i64"), [sizeOf(lengths, 0), 1, 1, 1]);
  return b("less", { a: rangeOf(b, 0, keys), b: limits });
}

/** A mask with fewer keys than there are hides those beyond. */
export function padMask(b: Builder, mask: Value, keys: Dim): Value {
  const missing = subtractDims(keys, sizeOf(mask, -1));
  if (typeof missing !== "number" || missing <= 0) return mask;
  const { dtype, shape } = mask.type;
  const pads = [...shape.map(() => 0), ...shape.map((_, axis) => (axis === shape.length - 1 ? missing : 0))];
  const value = literal(b, dtype, dtype === "bool" ? 0 : -Infinity);
  return b("pad", { x: mask, pads: b.dims(pads), value }, { mode: "constant" });
}

/** Attention step by step, each head of k and v written out once for each head of q that reads it. */
interface AttentionSteps {
  /** q·kᵀ · scale; with softcap; with mask; and its softmax, a row that sees nothing being zeros. */
  readonly scores: Value;
  readonly capped: Value;
  readonly masked: Value;
  readonly probabilities: Value;
  readonly result: Value;
}

export function attendInSteps(b: Builder, inputs: AttentionInputs, softmaxDType: DType): AttentionSteps {
  const { q, scale, softcap } = inputs;
  const { dtype } = q.type;
  const heads = sizeOf(q, 1);
  const product = b("matmul", { a: q, b: transposeLast(b, repeatHeads(b, inputs.k, heads)) });
  const scores = b("mul", { a: product, b: literal(b, dtype, scale) });
  const capped = softcap === 0 ? scores : cap(b, scores, literal(b, dtype, softcap));
  const mask = combineMasks(b, inputs.mask, visibilityMask(b, inputs));
  const masked = mask === undefined ? capped : applyMask(b, capped, mask);
  const largest = b("reduce_max", { x: masked }, { axes: [3], keepdims: true });
  const isBlind = b("equal", { a: largest, b: literal(b, dtype, -Infinity) });
  const softmax = castTo(b, b("softmax", { x: castTo(b, masked, softmaxDType) }, { axis: 3 }), dtype);
  const probabilities = b("where", { condition: isBlind, a: literal(b, dtype, 0), b: softmax });
  const values = castTo(b, repeatHeads(b, inputs.v, heads), dtype);
  return { scores, capped, masked, probabilities, result: b("matmul", { a: probabilities, b: values }) };
}

/** limit · tanh(x / limit) */
const cap = (b: Builder, x: Value, limit: Value): Value =>
  b("mul", { a: b("tanh", { x: b("div", { a: x, b: limit }) }), b: limit });

function applyMask(b: Builder, scores: Value, mask: Value): Value {
  const { dtype } = scores.type;
  if (mask.type.dtype !== "bool") return b("add", { a: scores, b: castTo(b, mask, dtype) });
  return b("where", { condition: mask, a: scores, b: literal(b, dtype, -Infinity) });
}

/** [B, Hk, T, D] → [B, H, T, D], each head repeated H/Hk times in a row. */
function repeatHeads(b: Builder, x: Value, heads: Dim): Value {
  const [batch, kept, length, width] = shapeOf(x) as [Dim, Dim, Dim, Dim];
  if (sameDim(kept, heads)) return x;
  const groups = floorDivideDims(heads, kept);
  const split = reshapeTo(b, x, [batch, kept, 1, length, width]);
  return reshapeTo(b, expandTo(b, split, [batch, kept, groups, length, width]), [
    batch,
    heads,
    length,
    width,
  ]);
}

/** i64 [S]: positions that follow a cache of `past` rows. */
export const positionsAfter = (b: Builder, past: Dim, length: Dim): Value =>
  rangeOf(b, past, addDims(past, length));
