import { layerNorm as reference } from "../../../../runtime/cpu/kernels/normalization.ts";
import { symbol } from "../../../../tensor/dim.ts";
import { f32, randomFloats, rubbish } from "../../case-data.ts";
import { defineCases, type KernelCase } from "../../kernel-case.ts";
import { isDistinct } from "../operand-data.ts";
import { type LayerNormParams, layerNorm } from "./kernel.ts";

const eps = 1e-5;

function caseOf(rows: number, width: number, bias: boolean): KernelCase<LayerNormParams> {
  return {
    name: `${rows} x ${width}${bias ? ", bias" : ""}`,
    params: { rows: symbol("S", 100000), width, eps, bias },
    symbols: { S: rows },
    on: isDistinct,
    inputs: () => ({
      x: randomFloats(1, rows * width, 3),
      scale: randomFloats(2, width),
      ...(bias && { bias: randomFloats(3, width) }),
      out: rubbish(rows * width),
    }),
    expected: ({ x, scale, bias: added }) => {
      const [out] = reference(
        { x: f32(x!, rows, width), scale: f32(scale!, width), bias: added && f32(added, width) },
        { eps },
      );
      return { out: { elements: out!.data as Float32Array<ArrayBuffer>, tolerance: 4e-6 } };
    },
  };
}

export const layerNormCases = defineCases({
  kernel: layerNorm,
  cases: [caseOf(3, 100, true), caseOf(1, 7, false), caseOf(5, 515, true)],
  benches: [],
});
