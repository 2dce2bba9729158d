import { rmsNorm as reference } from "../../../../runtime/cpu/kernels/normalization.ts";
import { symbol } from "../../../../tensor/dim.ts";
import { f32, randomFloats, rubbish } from "../../case-data.ts";
import { defineCases, type KernelBench, type KernelCase } from "../../kernel-case.ts";
import { type RmsNormParams, rmsNorm } from "./kernel.ts";

const eps = 1e-5;

function caseOf(rows: number, width: number): KernelCase<RmsNormParams> {
  return {
    name: `${rows} x ${width}`,
    params: { rows: symbol("S"), width, eps },
    symbols: { S: rows },
    inputs: () => ({
      x: randomFloats(1, rows * width, 3),
      scale: randomFloats(2, width),
      out: rubbish(rows * width),
    }),
    expected: ({ x, scale }) => {
      const [out] = reference({ x: f32(x!, rows, width), scale: f32(scale!, width) }, { eps });
      return { out: { elements: out!.data as Float32Array<ArrayBuffer>, tolerance: 2e-6 } };
    },
  };
}

const bench: KernelBench<RmsNormParams> = {
  name: "1 x 2560",
  params: { rows: 1, width: 2560, eps },
  sizes: { x: 10240, scale: 10240, out: 10240 },
  bytes: 3 * 10240,
  operations: 2 * 2560,
};

export const rmsNormCases = defineCases({
  kernel: rmsNorm,
  cases: [caseOf(1, 256), caseOf(3, 100), caseOf(9, 2560), caseOf(2, 7)],
  benches: [bench],
});
