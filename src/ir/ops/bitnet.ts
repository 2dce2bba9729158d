import { bitnetKernels as kernels } from "../../runtime/cpu/kernels/bitnet.ts";
import { ceilDivideDims, type Dim } from "../../tensor/dim.ts";
import { isTernaryBlock } from "../../tensor/dtype.ts";
import { tensorType } from "../type.ts";
import { InferenceError, type OpTable } from "./op.ts";
import {
  lastDim,
  requireFloats,
  requirePosition,
  requireRank,
  requireSameSize,
  requireVector,
} from "./require.ts";
import { formatShape, requireSameDType } from "./shapes.ts";
import type { BitnetOps } from "./signatures.ts";

/** The ops of BitNet b1.58, and the in-place update of a KV cache. */
export const bitnetOps: OpTable<BitnetOps> = {
  "bitnet.quantize": {
    doc: [
      "Absmax quantisation of activations to int8, one scale a token (Ma et al. 2024, arXiv:2402.17764), every step in f32:",
      "s = 127 / max(max|x|, 1e-5) over the last axis, codes = clamp(round_half_even(x · s), -128, 127).",
      "x [..., K] → codes f32 [..., K], integers; s f32 [..., 1].",
    ].join(" "),
    args: ["x"],
    rowwise: "x",
    infer({ x }) {
      requireFloats({ x });
      lastDim(x, "x");
      const { shape } = x.type;
      return [tensorType("f32", shape), tensorType("f32", [...shape.slice(0, -1), 1])];
    },
    kernel: kernels["bitnet.quantize"],
  },

  "bitnet.linear": {
    doc: [
      "x [..., K] · (weight [N, K] · scale)ᵀ + bias [N] → [..., N] in x's dtype, with ternary weight codes -1, 0 and 1 in i8 or in blocks (tq2_0, tq1_0; the shape is that of the codes).",
      "scale is f32 [1], [N], or [N, ceil(K / group)]: one for every `group` neighbouring weights of a row; group 0: no groups.",
      "`int8-per-token` quantises x as bitnet.quantize does to codes q and scale s: y = Σ q·t · scale / s, where the sum over a group is an exact integer; without groups it is divided by the f32 product s · (1/scale), as BitLinear in transformers does. `float` multiplies x as it is.",
    ].join(" "),
    args: ["x", "weight", "scale", "bias?"],
    rowwise: "x",
    weights: { weight: "ternary", scale: "ternary-scale" },
    infer({ x, weight, scale, bias }, { group }) {
      requireFloats({ x, bias });
      if (weight.type.dtype !== "i8" && !isTernaryBlock(weight.type.dtype))
        throw new InferenceError(`weight must be i8, tq2_0 or tq1_0, and is ${weight.type.dtype}`);
      requireRank(weight, "weight", ["N", "K"]);
      const [outputs, inputs] = weight.type.shape as [Dim, Dim];
      requireSameSize({ "K of x": lastDim(x, "x"), "K of weight": inputs });
      if (!Number.isInteger(group) || group < 0)
        throw new InferenceError(`group must be 0 or a number of weights, and is ${group}`);
      if (scale.type.dtype !== "f32")
        throw new InferenceError(`scale must be f32, and is ${scale.type.dtype}`);
      if (group > 0) {
        requireRank(scale, "scale", ["N", "ceil(K / group)"]);
        requireSameSize({ N: outputs, "axis 0 of scale": scale.type.shape[0]! });
        requireSameSize({
          "ceil(K / group)": ceilDivideDims(inputs, group),
          "axis 1 of scale": scale.type.shape[1]!,
        });
      } else if (scale.type.shape.length !== 1 || scale.type.shape[0] !== 1) {
        if (scale.type.shape.length !== 1)
          throw new InferenceError(
            `scale must be [1] or [N] without groups, and is ${formatShape(scale.type.shape)}`,
          );
        requireVector(scale, "scale", "N", outputs);
      }
      requireVector(bias, "bias", "N", outputs);
      return [tensorType(x.type.dtype, [...x.type.shape.slice(0, -1), outputs])];
    },
    kernel: kernels["bitnet.linear"],
  },

  "kv.update": {
    doc: "Writes new [B, H, S, D] to rows start_pos to start_pos + S - 1 of cache [B, H, C, D], in place.",
    args: ["cache", "new", "start_pos"],
    sizes: ["start_pos"],
    mutates: "cache",
    infer({ cache, new: rows, start_pos }) {
      requireSameDType({ cache, new: rows });
      requireRank(cache, "cache", ["B", "H", "C", "D"]);
      requireRank(rows, "new", ["B", "H", "S", "D"]);
      requirePosition(start_pos, "start_pos");
      for (const [axis, name] of [
        [0, "B"],
        [1, "H"],
        [3, "D"],
      ] as const)
        requireSameSize({
          [`${name} of cache`]: cache.type.shape[axis]!,
          [`${name} of new`]: rows.type.shape[axis]!,
        });
      return [cache.type];
    },
    kernel: kernels["kv.update"],
  },
};
