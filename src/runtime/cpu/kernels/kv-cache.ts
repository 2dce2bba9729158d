import type { Kernel } from "../../../ir/ops/op.ts";
import type { BitnetOps } from "../../../ir/ops/signatures.ts";
import { checkPositions } from "./positions.ts";

export const updateCache: Kernel<BitnetOps["kv.update"]> = ({ cache, new: rows, start_pos }) => {
  const [batch, heads, capacity, width] = cache.shape as [number, number, number, number];
  const length = rows.shape[2]!;
  const start = start_pos.data[0]!;
  checkPositions(start, length, capacity, "a key/value cache");
  const size = length * width;
  for (let head = 0; head < batch * heads; head++)
    cache.data.set(rows.data.subarray(head * size, (head + 1) * size), (head * capacity + start) * width);
  return [cache];
};
