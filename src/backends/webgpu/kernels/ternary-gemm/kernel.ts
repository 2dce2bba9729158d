import { defineKernel } from "../../kernel.ts";
import type { Target } from "../../target.ts";
import { blocksOf, blockWords, type TernaryParams, weightRows } from "../ternary.ts";
import { hasRows } from "../ternary-results.ts";
import { directDepth, directShader } from "./direct.ts";
import { tiledShader, tileSupportsGroups } from "./tile.ts";

const isDirect = (params: TernaryParams, { reduction }: Target): boolean =>
  !tileSupportsGroups(params) || (reduction === "serial" && params.depth <= directDepth);

export const ternaryGemm = defineKernel<TernaryParams>({
  name: "ternary-gemm",
  doc: `bitnet.linear for many tokens. Bindings, besides those of kernels/ternary.ts: with int8 activations those that quantize-rows makes, codes value u32 [rows, 64 · blocksOf(depth)] and row_scales value f32 [rows]; with float activations x value f32 [rows, depth].
int8-per-token: out = Σ q · t / (s · (1 / scale)), the sum exactly, or Σ_g scale_g · Σ q · t / s; float: out = Σ x · t · scale. Then + bias, and the epilogue.`,
  class: "matmul",
  supports(params, target) {
    if (!hasRows(params)) return "There is nothing to compute.";
    if (4 * blockWords * blocksOf(params.depth) * weightRows(params) > target.maxBindingSize)
      return `The weights need more than the ${target.maxBindingSize} bytes that one binding shows.`;
    return undefined;
  },
  build: (params, target) =>
    isDirect(params, target) ? directShader(params, target) : tiledShader(params, target),
});
