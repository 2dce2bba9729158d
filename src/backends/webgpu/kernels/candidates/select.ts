import { laneArguments, workgroupReduction } from "../../reduce.ts";
import type { Target } from "../../target.ts";
import { logitKey } from "../logits.ts";

/** Invocations of a workgroup that selects. */
export const selectionSize = (target: Target): number => (target.reduction === "serial" ? 16 : 256);

/** WGSL at module scope that `selection` needs. */
export const selectionDeclarations = (target: Target, count: number): string => `${logitKey}
var<workgroup> chosen_keys: array<u32, ${count}>;
var<workgroup> chosen_ids: array<u32, ${count}>;
var<workgroup> chosen_count: atomic<u32>;
${workgroupReduction(target, { name: "sum_all", type: "u32", combine: "add" }, selectionSize(target))}`;

/**
 * WGSL that finds the `count` best of a workgroup's entries: those with the largest keys, of equal keys those with the
 * lowest ids; entries with key 0 are none. Each invocation has entries in the arrays `keys` and `ids`, of `entries`
 * elements. Afterwards `chosen_keys` and `chosen_ids` hold the best in no particular order, key 0 where there are
 * fewer, and all invocations may read them.
 *
 * The count-th largest key is found bit by bit, from how many keys are not below it; then the id up to which entries
 * with just that key belong to the best, likewise.
 */
export const selection = (target: Target, count: number, entries: number, idBits: number): string => {
  const total = (condition: string) => `var matches = 0u;
    for (var j = 0u; j < ${entries}u; j++) { matches += u32(${condition}); }
    let total = sum_all(matches, ${laneArguments(target)});`;
  const size = selectionSize(target);
  return `
  for (var i = local; i < ${count}u; i += ${size}u) { chosen_keys[i] = 0u; chosen_ids[i] = 0xffffffffu; }
  if (local == 0u) { atomicStore(&chosen_count, 0u); }
  var threshold = 0u;
  for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
    let tried = threshold | bit;
    ${total("keys[j] >= tried")}
    if (total >= ${count}u) { threshold = tried; }
  }
  var above = 0u;
  for (var j = 0u; j < ${entries}u; j++) { above += u32(keys[j] > threshold); }
  let room = ${count}u - sum_all(above, ${laneArguments(target)});
  // ids below it: fewer than there is room for
  var below = 0u;
  for (var bit = ${2 ** (idBits - 1)}u; bit > 0u; bit >>= 1u) {
    let tried = below | bit;
    ${total("keys[j] == threshold && ids[j] < tried")}
    if (total < room) { below = tried; }
  }
  for (var j = 0u; j < ${entries}u; j++) {
    if (keys[j] != 0u && (keys[j] > threshold || (keys[j] == threshold && ids[j] <= below))) {
      let at = atomicAdd(&chosen_count, 1u);
      chosen_keys[at] = keys[j];
      chosen_ids[at] = ids[j];
    }
  }
  workgroupBarrier();`;
};
