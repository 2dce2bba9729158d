import { inlineLimit, inlineWeight, type WeightRef } from "../../ir/weights.ts";
import type { RopeConfig } from "./rope-config.ts";

const { fround } = Math;
/** PyTorch divides a number by an f32 tensor by multiplying with the tensor's reciprocal. */
const over = (a: number, b: number): number => fround(fround(a) * fround(1 / b));

/**
 * Inverse frequencies θ^(-2i/D) of a head of D elements, after scaling. Every step is rounded to f32 where
 * PyTorch's f32 arithmetic rounds, so that the angles are the ones the model was trained with.
 * @returns f32, D / 2 of them
 */
export function inverseFrequencies({ theta, scaling }: RopeConfig, headDim: number): Float32Array {
  const base = Float32Array.from({ length: headDim / 2 }, (_, i) =>
    fround(1 / fround(theta ** fround((2 * i) / headDim))),
  );
  switch (scaling.type) {
    case "default":
      return base;
    case "linear":
      return base.map((frequency) => frequency / fround(scaling.factor));
    case "llama3": {
      // low frequencies are divided by the factor, high ones kept, and those between interpolated
      const { factor, lowFrequencyFactor: low, highFrequencyFactor: high, originalPositions } = scaling;
      return base.map((frequency) => {
        const wavelength = over(2 * Math.PI, frequency);
        if (wavelength < fround(originalPositions / high)) return frequency;
        if (wavelength > fround(originalPositions / low)) return frequency / fround(factor);
        const smooth = fround(fround(over(originalPositions, wavelength) - fround(low)) / fround(high - low));
        const scaled = fround(fround(fround(1 - smooth) * frequency) / fround(factor));
        return fround(scaled + fround(smooth * frequency));
      });
    }
  }
}

/**
 * Cosines and sines of position · inverse frequency, computed when read.
 * @returns two f32 tables [positions, D / 2]
 */
export function ropeTables(
  rope: RopeConfig,
  headDim: number,
  positions: number,
): { readonly cos: WeightRef; readonly sin: WeightRef } {
  const frequencies = inverseFrequencies(rope, headDim);
  const table = (name: string, compute: (angle: number) => number): WeightRef => {
    const rows = (from: number, to: number): Float32Array<ArrayBuffer> => {
      const data = new Float32Array((to - from) * frequencies.length);
      let at = 0;
      for (let position = from; position < to; position++)
        for (const frequency of frequencies) data[at++] = compute(fround(position * frequency));
      return data;
    };
    const shape = [positions, frequencies.length];
    if (positions * frequencies.length <= inlineLimit)
      return inlineWeight({ dtype: "f32", shape, data: rows(0, positions) });
    return {
      id: `rope ${name} ${JSON.stringify({ ...rope, headDim, positions })}`,
      dtype: "f32",
      shape,
      rows: async (from, to) => ({
        dtype: "f32",
        shape: [to - from, frequencies.length],
        data: rows(from, to),
      }),
    };
  };
  return { cos: table("cos", Math.cos), sin: table("sin", Math.sin) };
}
