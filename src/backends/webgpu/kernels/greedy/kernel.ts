import type { Dim } from "../../../../tensor/dim.ts";
import { defineKernel } from "../../kernel.ts";
import { laneArguments, workgroupReduction } from "../../reduce.ts";
import type { Target } from "../../target.ts";
import { shader, wgslSize } from "../../wgsl.ts";
import { logitKey, lowestLogitKey } from "../logits.ts";

export interface GreedyPartialParams {
  /** Logits of a position. */
  readonly vocabulary: number;
  /** The row of the logits to look at: the last position. */
  readonly row: Dim;
}

export interface GreedyFinishParams {
  readonly vocabulary: number;
  /** Tokens that `sampled` has room for. */
  readonly sampled: number;
}

/** Logits that one workgroup looks at. */
const slice = (vocabulary: number): number => 2048 * Math.max(1, Math.ceil(vocabulary / (2048 * 256)));

/** Workgroups that look for the largest logit: at most 256. */
const slicesOf = (vocabulary: number): number => Math.ceil(vocabulary / slice(vocabulary));

/** Words of `partials`. */
export const greedyPartialWords = (vocabulary: number): number => 2 * slicesOf(vocabulary);

const sizeOf = (target: Target): number => (target.reduction === "serial" ? 16 : 256);

const reductionFor = (target: Target): string =>
  workgroupReduction(target, { name: "max_all", type: "u32", combine: "max" }, sizeOf(target));

export const greedyPartial = defineKernel<GreedyPartialParams>({
  name: "greedy-partial",
  doc: [
    "The largest logit of each slice of a row, the first of equal ones; NaN is never the largest.",
    "logits value f32 [rows, vocabulary]; partials value u32 [2, slices]: keys that are ordered as the logits are (0 where all are NaN), then indices.",
  ].join(" "),
  class: "sampling",
  build({ vocabulary, row }, target) {
    const slices = slicesOf(vocabulary);
    const size = sizeOf(target);
    return shader(target, {
      bindings: {
        logits: { type: "array<u32>", access: "value" },
        partials: { type: "array<u32>", access: "value" },
      },
      workgroupSize: size,
      workgroups: [slices, 1, 1],
      declarations: `${logitKey}\n${reductionFor(target)}`,
      body: `
  let first = ${wgslSize(row)} * ${vocabulary}u;
  let start = workgroup.x * ${slice(vocabulary)}u;
  let end = min(start + ${slice(vocabulary)}u, ${vocabulary}u);
  var best = 0u;
  var best_at = start + local;
  for (var i = start + local; i < end; i += ${size}u) {
    let key = logit_key(logits[first + i]);
    if (key > best) { best = key; best_at = i; }
  }
  let largest = max_all(best, ${laneArguments(target)});
  let index = ~max_all(select(0u, ~best_at, best == largest), ${laneArguments(target)});
  if (local == 0u) {
    partials[workgroup.x] = largest;
    partials[${slices}u + workgroup.x] = index;
  }`,
    });
  },
});

export const greedyFinish = defineKernel<GreedyFinishParams>({
  name: "greedy-finish",
  doc: [
    "Chooses the largest of the partials of greedy-partial and moves on by a token.",
    "partials value u32 as written there; position value u32, the symbols buffer: S at 0, P at 1, which become 1 and P + S;",
    "tokens value u32, the graph's input: the token goes to element 0; sampled value u32 [sampled]: it goes to (P + S - 1) mod its length.",
    "Where all logits are NaN or -∞, 0xffffffff goes to sampled and 0 to tokens.",
  ].join(" "),
  class: "sampling",
  build({ vocabulary, sampled }, target) {
    const slices = slicesOf(vocabulary);
    const size = sizeOf(target);
    return shader(target, {
      bindings: {
        partials: { type: "array<u32>", access: "value" },
        position: { type: "array<u32>", access: "value" },
        tokens: { type: "array<u32>", access: "value" },
        sampled: { type: "array<u32>", access: "value" },
      },
      workgroupSize: size,
      workgroups: [1, 1, 1],
      declarations: reductionFor(target),
      body: `
  let count = position[0];
  let end = position[1] + count;
  var best = 0u;
  var best_at = 0u;
  for (var i = local; i < ${slices}u; i += ${size}u) {
    let key = partials[i];
    if (key > best) { best = key; best_at = partials[${slices}u + i]; }
  }
  let largest = max_all(best, ${laneArguments(target)});
  let token = ~max_all(select(0u, ~best_at, best == largest), ${laneArguments(target)});
  let found = largest > ${lowestLogitKey}u;
  if (local == 0u) {
    sampled[(end - 1u) % ${sampled}u] = select(token, 0xffffffffu, !found);
    tokens[0] = select(token, 0u, !found);
    position[0] = 1u;
    position[1] = end;
  }`,
    });
  },
});
