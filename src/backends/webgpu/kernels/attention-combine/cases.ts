import { evaluateDim, symbol } from "../../../../tensor/dim.ts";
import { attend } from "../../attention-cases.ts";
import { randomFloats, rubbish } from "../../case-data.ts";
import { defineCases, type KernelBench, type KernelCase } from "../../kernel-case.ts";
import { partialsOf } from "../attention-decode/cases.ts";
import { partialsSize, splitsOf } from "../attention-decode/params.ts";
import { type AttentionCombineParams, attentionCombine } from "./kernel.ts";

/** Partial results of random caches; joined, they are what nn.sdpa gives. Those beyond the last are NaN. */
function caseOf(
  position: number,
  queryHeads: number,
  keyHeads: number,
  valueWidth: number,
  window = 0,
  chunk = 16,
): KernelCase<AttentionCombineParams> {
  const width = 32;
  const capacity = position + 1;
  const params = { start: symbol("P", 599), window, chunk, queryHeads, valueWidth };
  const attention = { ...params, keyHeads, width, capacity, scale: 1, softcap: 0 };
  const data = () => ({
    q: randomFloats(1, queryHeads * width, 2),
    k: randomFloats(2, keyHeads * capacity * width),
    v: randomFloats(3, keyHeads * capacity * valueWidth),
  });
  return {
    name: `position ${position}, ${queryHeads} heads of ${valueWidth}${window > 0 ? `, window ${window}` : ""}, chunks of ${chunk}`,
    params,
    symbols: { S: 1, P: position },
    inputs: () => {
      const { q, k, v } = data();
      const splits = evaluateDim(splitsOf(params), new Map([["P", position]]));
      const partials = new Float32Array(partialsSize(params)).fill(Number.NaN);
      partials.set(partialsOf(attention, q, k, v, position, splits));
      return { partials, out: rubbish(queryHeads * valueWidth) };
    },
    expected: () => ({
      out: {
        elements: attend({ ...data(), start: position }, attention, attention),
        tolerance: 2e-6,
      },
    }),
  };
}

const benchOf = (position: number): KernelBench<AttentionCombineParams> => {
  const params = { start: symbol("P", 4095), window: 0, chunk: 16, queryHeads: 20, valueWidth: 128 };
  const splits = evaluateDim(splitsOf(params), new Map([["P", position]]));
  return {
    name: `20 heads of 128 at position ${position}`,
    params,
    symbols: { S: 1, P: position },
    sizes: { partials: partialsSize(params) * 4, out: 20 * 128 * 4 },
    bytes: splits * 20 * 132 * 4 + 20 * 128 * 4,
    operations: splits * 20 * 128,
  };
};

export const attentionCombineCases = defineCases({
  kernel: attentionCombine,
  cases: [
    caseOf(0, 4, 2, 64),
    caseOf(33, 4, 2, 64),
    caseOf(100, 8, 1, 80),
    caseOf(500, 20, 5, 128),
    caseOf(500, 4, 4, 96, 70),
    caseOf(10, 4, 4, 96, 32),
    caseOf(200, 4, 2, 21),
    caseOf(599, 2, 1, 256),
    caseOf(599, 4, 2, 32, 0, 4),
  ],
  benches: [benchOf(127), benchOf(4095)],
});
