import type { Builder, Value } from "../../../ir/graph.ts";
import { castTo, rangeOf, rankOf, reshapeTo, shapeOf, sizeOf } from "../../../ir/shorthand.ts";
import { type Dim, floorDivideDims, multiplyDims } from "../../../tensor/dim.ts";
import type { ImportContext, Importer } from "../importer.ts";
import { mergeHeads, splitHeads } from "./scaled-dot-product.ts";

/** cos and sin, one row a token: [B or 1, S, R/2]. */
interface RotaryRows {
  readonly cos: Value;
  readonly sin: Value;
}

/** Rows of the tables cos and sin [T, R/2] at `positions`, i64 [S] or [B, S]. */
export function rotaryRows(b: Builder, cos: Value, sin: Value, positions: Value): RotaryRows {
  const rows = (table: Value): Value => {
    const gathered = b("gather", { x: table, indices: positions }, { axis: 0 });
    return rankOf(gathered) === 3 ? gathered : reshapeTo(b, gathered, [1, ...shapeOf(gathered)]);
  };
  return { cos: rows(cos), sin: rows(sin) };
}

/** Rotates x [B, H, S, D]; elements beyond the width of the tables pass. */
export const rotate = (b: Builder, x: Value, { cos, sin }: RotaryRows, interleaved: boolean): Value =>
  b("nn.rope", { x, cos, sin }, { interleaved });

/** Rotates [B, H, S, D], or [B, S, H·D] as heads. */
function rotateHeads(context: ImportContext, x: Value, heads: Dim, rows: RotaryRows): Value {
  const { b } = context;
  const interleaved = context.int("interleaved", 0) === 1;
  if (rankOf(x) === 4) return rotate(b, x, rows, interleaved);
  if (rankOf(x) !== 3) context.unsupported("the input must have three or four dimensions");
  return mergeHeads(b, rotate(b, splitHeads(b, x, heads), rows, interleaved));
}

/** ai.onnx: X, cos, sin and, where those are tables of all positions, position_ids [B, S]. */
export const RotaryEmbedding: Importer = (context) => {
  const { b } = context;
  const x = context.input(0);
  const [cos, sin] = [context.input(1), context.input(2)];
  const positions = context.optional(3);
  const rows = positions ? rotaryRows(b, cos, sin, castTo(b, positions, "i64")) : { cos, sin };
  return [rotateHeads(context, x, rankOf(x) === 3 ? context.int("num_heads") : 0, rows)];
};

/** com.microsoft: input, position_ids [1] (of the first token) or [B, S], cos, sin. */
export const MicrosoftRotaryEmbedding: Importer = (context) => {
  const { b } = context;
  const x = context.input(0);
  const given = castTo(b, context.input(1), "i64");
  const [cos, sin] = [context.input(2), context.input(3)];
  if (context.int("is_packed_batching", 0) !== 0) context.unsupported("packed batches are not supported");
  if (context.float("scale", 1) !== 1) context.unsupported("a scale is not supported");
  const length = sizeOf(x, rankOf(x) - 2);
  const steps = rankOf(x) === 3 || rankOf(x) === 4 ? rangeOf(b, 0, length) : given;
  const positions = rankOf(given) === 2 ? given : b("add", { a: steps, b: given });
  const named = context.int("num_heads", 0);
  const heads = named > 0 ? named : floorDivideDims(sizeOf(x, -1), multiplyDims(sizeOf(cos, 1), 2));
  return [rotateHeads(context, x, heads, rotaryRows(b, cos, sin, positions))];
};
