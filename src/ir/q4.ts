import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import type { TensorData } from "../tensor/tensor.ts";
import { mapRows, placeOf, rowsOfWeight, streamRows, type WeightRef } from "./weights.ts";

/*
 * q4: a matrix [N, K] as codes of four bits, -8 to 7, and a scale for every 32 neighbours of a row. The scale is such
 * that the weight furthest from 0 has the code -8; with every step rounded to f32,
 *
 *     scale[n, g] = w[n, k] / -8, of the k in group g with the largest |w[n, k]|
 *     q[n, k]     = clamp(round(w[n, k] / scale[n, g]), -8, 7)
 *
 * so that w ≈ q · scale. A group of zeros has scale 1 and codes 0.
 */
export const q4Group = 32;
const lowest = -8;
const highest = 7;

/** What a matrix is stored as. */
export interface Q4Parts {
  /** i8 [N, K] */
  readonly codes: WeightRef;
  /** f32 [N, K / 32] */
  readonly scales: WeightRef;
}

const partsOf = new WeakMap<WeightRef, Q4Parts>();

/** The codes and scales of a weight that `q4Weight` made. */
export const q4Parts = (ref: WeightRef): Q4Parts | undefined => partsOf.get(ref);

/**
 * The numbers that a matrix becomes in q4, as f32. Backends that have ops for it store its parts.
 * @param ref float [N, K], K a multiple of 32
 * @returns f32 [N, K]; reading it, or its parts, fails with a BitnetcError `weight-not-finite`
 */
export function q4Weight(ref: WeightRef): WeightRef {
  const [rows, columns] = ref.shape as readonly [number, number];
  if (columns % q4Group !== 0) throw new Error(`q4 has no rows of ${columns}`);
  const scales: WeightRef = {
    id: `${ref.id} | q4 scales`,
    dtype: "f32",
    shape: [rows, columns / q4Group],
    rows: async (from, to) => {
      const all = new Float32Array(((to - from) * columns) / q4Group);
      let at = 0;
      for await (const { data } of streamRows(rowsOfWeight(ref, from, to))) {
        all.set(scalesOf(ref, data), at);
        at += data.length / q4Group;
      }
      return { dtype: "f32", shape: [to - from, columns / q4Group], data: all };
    },
  };
  const codes = mapRows(ref, "q4 codes", { dtype: "i8", shape: ref.shape }, ({ shape, data }) => ({
    dtype: "i8",
    shape,
    data: codesOf(data, scalesOf(ref, data)),
  }));
  const values = mapRows(ref, "q4", { dtype: "f32", shape: ref.shape }, ({ shape, data }) => {
    const scale = scalesOf(ref, data);
    const codes = codesOf(data, scale);
    const rounded = new Float32Array(codes.length);
    for (let i = 0; i < codes.length; i++) rounded[i] = codes[i]! * scale[Math.floor(i / q4Group)]!;
    return { dtype: "f32", shape, data: rounded };
  });
  partsOf.set(values, { codes, scales });
  return values;
}

/** @throws BitnetcError `weight-not-finite` */
function scalesOf(ref: WeightRef, data: TensorData): Float32Array<ArrayBuffer> {
  const scales = new Float32Array(data.length / q4Group);
  for (let group = 0; group < scales.length; group++) {
    let furthest = 0;
    let total = 0;
    for (let i = group * q4Group; i < (group + 1) * q4Group; i++) {
      const weight = Math.fround(data[i]!);
      total += Math.abs(weight);
      if (Math.abs(weight) > Math.abs(furthest)) furthest = weight;
    }
    if (!Number.isFinite(total)) throw new BitnetcError(diagnostics.weightNotFinite(placeOf(ref)));
    scales[group] = Math.fround(furthest / lowest) || 1;
  }
  return scales;
}

function codesOf(data: TensorData, scales: Float32Array): Int8Array<ArrayBuffer> {
  const codes = new Int8Array(data.length);
  for (let i = 0; i < codes.length; i++) {
    const scaled = Math.round(Math.fround(Math.fround(data[i]!) / scales[Math.floor(i / q4Group)]!));
    codes[i] = Math.max(lowest, Math.min(highest, scaled));
  }
  return codes;
}
