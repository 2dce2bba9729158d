import type { Dim } from "../../../../tensor/dim.ts";
import { defineKernel } from "../../kernel.ts";
import { shader, wgslSize } from "../../wgsl.ts";
import { logitOfKey } from "../logits.ts";
import { selection, selectionDeclarations, selectionSize } from "./select.ts";

export interface CandidatesPartialParams {
  /** Logits of a position. */
  readonly vocabulary: number;
  /** How many of the likeliest are wanted. */
  readonly count: number;
  /** The row of the logits to look at: the last position. */
  readonly row: Dim;
}

export type CandidatesFinishParams = Pick<CandidatesPartialParams, "vocabulary" | "count">;

const maxSlices = 64;

/** Logits that one workgroup looks at. */
const slice = (vocabulary: number): number => 2048 * Math.max(1, Math.ceil(vocabulary / (2048 * maxSlices)));

const slicesOf = (vocabulary: number): number => Math.ceil(vocabulary / slice(vocabulary));

/** Words of `partials`. */
export const candidatePartialWords = ({ vocabulary, count }: CandidatesFinishParams): number =>
  2 * slicesOf(vocabulary) * count;

const idBits = (vocabulary: number): number => Math.max(1, Math.ceil(Math.log2(vocabulary)));

const supports = ({ count }: CandidatesFinishParams): string | undefined =>
  count > 256 ? `there are at most 256 candidates, not ${count}` : undefined;

export const candidatesPartial = defineKernel<CandidatesPartialParams>({
  name: "candidates-partial",
  doc: [
    "The `count` largest logits of each slice of a row, in no particular order; of equal ones the first.",
    "logits value f32 [rows, vocabulary]; partials value u32 [2, slices, count]: keys that are ordered as the logits are, then ids; key 0 where there is no logit or it is NaN.",
  ].join(" "),
  class: "sampling",
  supports,
  build({ vocabulary, count, row }, target) {
    const size = selectionSize(target);
    const entries = slice(vocabulary) / size;
    const words = candidatePartialWords({ vocabulary, count }) / 2;
    return shader(target, {
      bindings: {
        logits: { type: "array<u32>", access: "value" },
        partials: { type: "array<u32>", access: "value" },
      },
      workgroupSize: size,
      workgroups: [slicesOf(vocabulary), 1, 1],
      declarations: selectionDeclarations(target, count),
      body: `
  let first = ${wgslSize(row)} * ${vocabulary}u;
  var keys: array<u32, ${entries}>;
  var ids: array<u32, ${entries}>;
  for (var j = 0u; j < ${entries}u; j++) {
    let id = workgroup.x * ${slice(vocabulary)}u + j * ${size}u + local;
    ids[j] = id;
    if (id < ${vocabulary}u) { keys[j] = logit_key(logits[first + id]); }
  }
  ${selection(target, count, entries, idBits(vocabulary))}
  for (var i = local; i < ${count}u; i += ${size}u) {
    partials[workgroup.x * ${count}u + i] = chosen_keys[i];
    partials[${words}u + workgroup.x * ${count}u + i] = chosen_ids[i];
  }`,
    });
  },
});

export const candidatesFinish = defineKernel<CandidatesFinishParams>({
  name: "candidates-finish",
  doc: [
    "The `count` likeliest tokens among the partials of candidates-partial, largest first, of equal ones the lower id first.",
    "partials value u32 as written there; candidates value u32 [2, count]: ids, then the bits of their f32 logits; where there are fewer, 0xffffffff and -∞.",
  ].join(" "),
  class: "sampling",
  supports,
  build({ vocabulary, count }, target) {
    const size = selectionSize(target);
    const words = candidatePartialWords({ vocabulary, count }) / 2;
    const entries = Math.ceil(words / size);
    return shader(target, {
      bindings: {
        partials: { type: "array<u32>", access: "value" },
        candidates: { type: "array<u32>", access: "value" },
      },
      workgroupSize: size,
      workgroups: [1, 1, 1],
      declarations: `${selectionDeclarations(target, count)}\n${logitOfKey}`,
      body: `
  var keys: array<u32, ${entries}>;
  var ids: array<u32, ${entries}>;
  for (var j = 0u; j < ${entries}u; j++) {
    let at = j * ${size}u + local;
    if (at < ${words}u) {
      keys[j] = partials[at];
      ids[j] = partials[${words}u + at];
    }
  }
  ${selection(target, count, entries, idBits(vocabulary))}
  let found = atomicLoad(&chosen_count);
  for (var i = local; i < ${count}u; i += ${size}u) {
    if (i < found) {
      let key = chosen_keys[i];
      let id = chosen_ids[i];
      var rank = 0u;
      for (var other = 0u; other < found; other++) {
        rank += u32(chosen_keys[other] > key || (chosen_keys[other] == key && chosen_ids[other] < id));
      }
      candidates[rank] = id;
      candidates[${count}u + rank] = logit_of_key(key);
    } else {
      candidates[i] = 0xffffffffu;
      candidates[${count}u + i] = 0xff800000u;
    }
  }`,
    });
  },
});
