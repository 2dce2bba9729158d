import { rowCount, rowSize } from "../../ir/weights.ts";
import type { ConstantRange, NamedBlob } from "../../serialize/program-writer.ts";
import { byteLength } from "../../tensor/tensor.ts";
import type { PlacedConstant } from "../portable/method.ts";
import { weightBlob } from "../program-contents.ts";
import { keyOf } from "./emitter.ts";
import type { ArgTypes, VulkanCalls, VulkanConstant } from "./value.ts";

/**
 * The data of delegates' constants by key. What kernels outside use too, rows of it included, lies among their
 * constants and is stored once.
 */
export function delegateData(
  delegates: readonly VulkanCalls[],
  shared: readonly PlacedConstant[],
): ReadonlyMap<string, NamedBlob | ConstantRange> {
  const placed = new Map(shared.map((constant) => [keyOf(constant.weight), constant]));
  const data = new Map<string, NamedBlob | ConstantRange>();
  for (const { calls } of delegates)
    for (const { weight, rowsOf } of calls.flatMap(({ args }) => args.flatMap(constantsOf))) {
      const key = keyOf(weight);
      const whole = placed.get(keyOf(rowsOf?.weight ?? weight));
      if (data.has(key)) continue;
      if (whole === undefined) {
        data.set(key, weightBlob(key, weight));
        continue;
      }
      const bytes = (rows: number) => byteLength(weight.dtype, rows * rowSize(weight));
      const offset = whole.offset + bytes(rowsOf?.from ?? 0);
      data.set(key, { key, offset, size: bytes(rowCount(weight)) });
    }
  return data;
}

function constantsOf(arg: ArgTypes[keyof ArgTypes]): readonly VulkanConstant[] {
  if (typeof arg !== "object" || Array.isArray(arg)) return [];
  return "kind" in arg && arg.kind === "constant" ? [arg] : [];
}
