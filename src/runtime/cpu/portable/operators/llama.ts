import { elementCount, type Tensor, tensor as tensorOf } from "../../../../tensor/tensor.ts";
import { attention } from "../../kernels/attention.ts";
import { movementKernels } from "../../kernels/movement.ts";
import { checkPositions } from "../../kernels/positions.ts";
import { mutating, type Operators, out } from "../operator.ts";
import type { TensorCell } from "../tensor-cell.ts";
import { bool, cell, double, int, optional, tensor } from "../values.ts";
import { requireRank, requireSameType } from "./checks.ts";

/** From [B, S, H, D] to [B, H, S, D], and back. */
const swapped = (x: Tensor): Tensor => movementKernels.transpose({ x }, { perm: [0, 2, 1, 3] })[0]!;

/** Overwrites positions of a cache [1, C, H, D] from `start` on. */
function update(cache: TensorCell, rows: Tensor, start: number): void {
  const held = cache.tensor;
  requireSameType(held, rows);
  for (const each of [held, rows]) requireRank(each, 4);
  const [[batch, capacity, ...row], [rowBatch, length, ...given]] = [held.shape, rows.shape] as [
    number[],
    number[],
  ];
  if (batch !== 1 || rowBatch !== 1 || row.some((size, i) => size !== given[i]))
    throw new RangeError(`Rows [${rows.shape.join(", ")}] are not for a cache [${held.shape.join(", ")}].`);
  checkPositions(start, length!, capacity!, "a key/value cache");
  held.data.set(rows.data, start * elementCount(row));
  cache.write(held);
}

/** Causal attention over caches, of queries that are at the positions from `start` on; or with a mask instead. */
function attend(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  start: number,
  mask: Tensor | null,
  dropout: number,
  causal: boolean,
  scale: number | null,
): Tensor {
  for (const each of [q, k, v]) requireRank(each, 4);
  requireSameType(q, k, v);
  if (dropout !== 0) throw new RangeError(`It has the dropout ${dropout}.`);
  if (mask !== null && causal) throw new RangeError("It has a mask and is causal.");
  checkPositions(start, q.shape[1]!, k.shape[1]!, "a key/value cache");
  const seen = causal || mask === null ? start + q.shape[1]! : k.shape[1]!;
  const keys = (x: Tensor) =>
    swapped(
      tensorOf(x.dtype, x.shape.with(1, seen), x.data.subarray(0, (x.data.length / x.shape[1]!) * seen)),
    );
  const attrs = { scale: scale ?? 1 / Math.sqrt(q.shape[3]!), causal, softcap: 0, window: 0 };
  const startPos = causal ? tensorOf("i64", [1], [start]) : undefined;
  const args = { q: swapped(q), k: keys(k), v: keys(v), mask: mask ?? undefined, start_pos: startPos };
  return swapped(attention(args, attrs)[0]!);
}

/** Of ExecuTorch's extension for language models; tensors are [B, S, H, D]. */
export const llamaOperators: Operators = {
  "llama::sdpa_with_kv_cache.out": mutating(
    [tensor, tensor, tensor, cell, cell, int, int, optional(tensor), double, bool, optional(double), cell],
    [11, 3, 4],
    (q, k, v, keys, values, start, _length, mask, dropout, causal, scale, result) => {
      update(keys, k, start);
      update(values, v, start);
      result.write(attend(q, keys.tensor, values.tensor, start, mask, dropout, causal, scale));
    },
    [3, 4],
  ),
  // What it gives is said to be nothing.
  "llama::update_cache.out": mutating(
    [tensor, cell, int, cell],
    [3, 1],
    (rows, cache, start) => update(cache, rows, start),
    [1],
  ),
  "llama::custom_sdpa.out": out(
    [tensor, tensor, tensor, int, optional(tensor), double, bool, optional(double)],
    attend,
  ),
};
