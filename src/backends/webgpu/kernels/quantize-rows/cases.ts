import { rmsNorm } from "../../../../runtime/cpu/kernels/normalization.ts";
import { quantizeRow } from "../../../../runtime/cpu/kernels/quantize.ts";
import { Pcg32 } from "../../../../runtime/random.ts";
import { symbol } from "../../../../tensor/dim.ts";
import { f32, randomFloats } from "../../case-data.ts";
import { defineCases, type KernelBench, type KernelCase } from "../../kernel-case.ts";
import { exactlyNormed, tiedInputs } from "../row-cases.ts";
import { blocksOf, blockWeights } from "../ternary.ts";
import { type QuantizeRowsParams, quantizeRows } from "./kernel.ts";

interface Use {
  readonly name: string;
  readonly depth: number;
  readonly x: () => Float32Array<ArrayBuffer>;
  /** eps of a norm; `isExact` when its factor and its results are exact, so that codes are too. */
  readonly norm?: { readonly eps: number; readonly isExact: boolean };
}

function caseOf({ name, depth, x, norm }: Use): KernelCase<QuantizeRowsParams> {
  const rows = x().length / depth;
  const stride = blocksOf(depth) * blockWeights;
  return {
    name: `${name}: ${rows} x ${depth}`,
    params: { rows: symbol("S"), depth, ...(norm && { norm: { eps: norm.eps } }) },
    symbols: { S: rows },
    inputs: () => ({
      x: x(),
      ...(norm && { norm_scale: randomFloats(7, depth) }),
      codes: new Uint32Array((rows * stride) / 4).fill(0xdeadbeef),
      row_scales: new Float32Array(rows),
    }),
    expected: ({ x, norm_scale }) => {
      const y = norm
        ? rmsNorm({ x: f32(x!, rows, depth), scale: f32(norm_scale!, depth) }, { eps: norm.eps })[0]!.data
        : (x as Float32Array<ArrayBuffer>);
      const row = new Float64Array(depth);
      const codes = new Int8Array(rows * stride);
      const scales = new Float32Array(rows);
      for (let i = 0; i < rows; i++) {
        scales[i] = quantizeRow(y as Float32Array<ArrayBuffer>, i * depth, depth, row, 0);
        codes.set(row, i * stride);
      }
      if (norm === undefined || norm.isExact)
        return { codes: { elements: codes }, row_scales: { elements: scales } };
      return {
        codes: { elements: codes, tolerance: 1.01 / 127 },
        row_scales: { elements: scales, tolerance: 1e-6 },
      };
    },
  };
}

/** Bits of `count` random f32 from 1e-5 to the largest. */
function randomMagnitudes(count: number): Float32Array<ArrayBuffer> {
  const random = new Pcg32(11n);
  const [first, end] = [0x3727c5ac, 0x7f800000];
  const bits = Uint32Array.from(
    { length: count },
    () => first + Math.floor(random.uniform() * (end - first)),
  );
  return new Float32Array(bits.buffer);
}

/** Powers of two and 127 times them, from 2^-16 to 2^120, and their neighbours among the f32. */
function roundMagnitudes(): Float32Array<ArrayBuffer> {
  const values = Array.from({ length: 137 }, (_, i) => [2 ** (i - 16), 127 * 2 ** (i - 16)]).flat();
  const bits = new Uint32Array(Float32Array.from(values).buffer);
  return new Float32Array(Uint32Array.from([...bits].flatMap((word) => [word - 1, word, word + 1])).buffer);
}

const cases = [
  caseOf({ name: "scales of random magnitudes", depth: 1, x: () => randomMagnitudes(20000) }),
  caseOf({ name: "scales of round magnitudes", depth: 1, x: roundMagnitudes }),
  caseOf({
    name: "too small magnitudes",
    depth: 4,
    x: () => Float32Array.of(0, -0, 0, 0, 1e-6, -1e-5, 0, 3e-39, 1e-30, 0, 0, 0),
  }),
  caseOf({ name: "large magnitudes", depth: 8, x: () => randomFloats(3, 24, 3.4e38) }),
  caseOf({ name: "ties", depth: 512, x: () => tiedInputs(6, 512) }),
  ...[100, 300, 301, 2560, 6912, 14000].map((depth) =>
    caseOf({ name: "random", depth, x: () => randomFloats(depth, 3 * depth, 5) }),
  ),
  ...[256, 300, 301, 6912].map((depth) =>
    caseOf({
      name: "with a norm",
      depth,
      x: () => randomFloats(depth, 3 * depth, 5),
      norm: { eps: 1e-5, isExact: false },
    }),
  ),
  ...[256, 2560, 6912].map((depth) =>
    caseOf({
      name: "with an exact norm",
      depth,
      x: () => exactlyNormed(2, depth),
      norm: { eps: 0, isExact: true },
    }),
  ),
];

const bench = (rows: number, depth: number): KernelBench<QuantizeRowsParams> => ({
  name: `${rows} x ${depth}, norm`,
  params: { rows, depth, norm: { eps: 1e-5 } },
  sizes: {
    x: 4 * rows * depth,
    norm_scale: 4 * depth,
    codes: rows * blocksOf(depth) * blockWeights,
    row_scales: 4 * rows,
  },
  bytes: 5 * rows * depth,
  operations: 3 * rows * depth,
});

export const quantizeRowsCases = defineCases({
  kernel: quantizeRows,
  cases,
  benches: [bench(1, 2560), bench(512, 2560), bench(512, 6912)],
});
