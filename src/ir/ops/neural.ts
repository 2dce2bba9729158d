import { neuralKernels as kernels } from "../../runtime/cpu/kernels/neural.ts";
import { type Dim, dimKey, isSymbolic, multiplyDims } from "../../tensor/dim.ts";
import { tensorType } from "../type.ts";
import { attentionOp } from "./attention.ts";
import { type ArgInfo, InferenceError, type OpTable } from "./op.ts";
import {
  lastDim,
  requireFloats,
  requireInteger,
  requirePosition,
  requireRank,
  requireRowScale,
  requireSameSize,
  requireVector,
} from "./require.ts";
import { broadcastShapes, formatShape, normalizeAxis, requireSameDType } from "./shapes.ts";
import type { NeuralOps } from "./signatures.ts";

/** The ops of transformer networks, at the level at which kernels for them exist. */
export const neuralOps: OpTable<NeuralOps> = {
  matmul: {
    doc: "NumPy's matmul. a [..., M, K] · b [..., K, N] → [..., M, N]; batch axes broadcast; a 1-D a is a row, a 1-D b a column, and that axis is not in the result.",
    args: ["a", "b"],
    infer({ a, b }) {
      requireSameDType({ a, b });
      const [rank, otherRank] = [a.type.shape.length, b.type.shape.length];
      if (rank === 0 || otherRank === 0) throw new InferenceError("a and b must have an axis at least");
      const [m, k] = rank === 1 ? [undefined, a.type.shape[0]!] : (a.type.shape.slice(-2) as [Dim, Dim]);
      const [k2, n] = otherRank === 1 ? [b.type.shape[0]!] : (b.type.shape.slice(-2) as [Dim, Dim]);
      requireSameSize({ "K of a": k, "K of b": k2 });
      const batch = broadcastShapes(a.type.shape.slice(0, -2), b.type.shape.slice(0, -2));
      return [tensorType(a.type.dtype, [...batch, ...[m, n].filter((size) => size !== undefined)])];
    },
    kernel: kernels.matmul,
  },

  softmax: {
    doc: "e^(x - max x) / Σ e^(x - max x) along one axis; a slice of nothing but -∞ gives NaN.",
    args: ["x"],
    infer({ x }, { axis }) {
      requireFloats({ x });
      normalizeAxis(axis, x.type.shape.length);
      return [x.type];
    },
    kernel: kernels.softmax,
  },

  "nn.linear": {
    doc: [
      "x [..., K] · weight [N, K]ᵀ + bias [N] → [..., N] in x's dtype; sums in f64 on the CPU.",
      "With scale, f32 [N], the weight is int8 codes q with a scale a row (i8; `q8`): y = (Σ x·q) · scale + bias, where the sum is rounded to f32 and then scaled; x stays as it is.",
    ].join(" "),
    args: ["x", "weight", "bias?", "scale?"],
    rowwise: "x",
    weights: { weight: "dense" },
    infer({ x, weight, bias, scale }) {
      requireFloats({ x, bias });
      requireRank(weight, "weight", ["N", "K"]);
      requireRowScale(weight, "weight", scale, "N");
      requireSameSize({ "K of x": lastDim(x, "x"), "K of weight": weight.type.shape[1]! });
      requireVector(bias, "bias", "N", weight.type.shape[0]!);
      return [tensorType(x.type.dtype, [...x.type.shape.slice(0, -1), weight.type.shape[0]!])];
    },
    kernel: kernels["nn.linear"],
  },

  "nn.embedding": {
    doc: [
      "Row ids[...] of table [V, D] → [..., D], in f32 whatever the width of the table's floats. Every id is 0 to V-1.",
      "With scale, f32 [V], the table is int8 codes with a scale a row (i8; `q8`), and the result their product.",
    ].join(" "),
    args: ["table", "ids", "scale?"],
    weights: { table: "embedding", scale: "embedding-scale" },
    infer({ table, ids, scale }) {
      requireInteger(ids, "ids");
      requireRank(table, "table", ["V", "D"]);
      requireRowScale(table, "table", scale, "V");
      const dtype = table.type.dtype === "f64" ? "f64" : "f32";
      return [tensorType(dtype, [...ids.type.shape, table.type.shape[1]!])];
    },
    kernel: kernels["nn.embedding"],
  },

  "nn.rms_norm": {
    doc: "x · scale / √(mean(x²) + eps) over the last axis; x [..., K], scale [K] (Zhang and Sennrich 2019, arXiv:1910.07467).",
    args: ["x", "scale"],
    rowwise: "x",
    weights: { scale: "norm" },
    infer({ x, scale }) {
      requireFloats({ x, scale });
      requireVector(scale, "scale", "K", lastDim(x, "x"));
      return [x.type];
    },
    kernel: kernels["nn.rms_norm"],
  },

  "nn.layer_norm": {
    doc: "(x - mean x) · scale / √(var x + eps) + bias over the last axis, with the biased variance; x [..., K], scale and bias [K] (Ba et al. 2016, arXiv:1607.06450).",
    args: ["x", "scale", "bias?"],
    rowwise: "x",
    weights: { scale: "norm", bias: "norm" },
    infer({ x, scale, bias }) {
      requireFloats({ x, scale, bias });
      requireVector(scale, "scale", "K", lastDim(x, "x"));
      requireVector(bias, "bias", "K", lastDim(x, "x"));
      return [x.type];
    },
    kernel: kernels["nn.layer_norm"],
  },

  "nn.relu2": {
    ...activation("max(x, 0)² (So et al. 2021, arXiv:2109.08668)."),
    kernel: kernels["nn.relu2"],
  },
  "nn.silu": {
    ...activation("x / (1 + e^-x) (Elfwing et al. 2017, arXiv:1702.03118)."),
    kernel: kernels["nn.silu"],
  },
  "nn.gelu": {
    ...activation(
      "x · (1 + erf(x/√2)) / 2, or with `approximate: tanh` x · (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2 (Hendrycks and Gimpel 2016, arXiv:1606.08415).",
    ),
    kernel: kernels["nn.gelu"],
  },

  "nn.rope": {
    doc: [
      "Rotary position embedding (Su et al. 2021, arXiv:2104.09864) of the first R of D elements; the others pass.",
      "x [B, H, S, D]; cos and sin are tables [T, R/2] of which row start_pos + s serves token s, or one row a token, [B or 1, S, R/2].",
      "Pairs are (i, i + R/2), or (2i, 2i + 1) when interleaved: (x0, x1) → (x0·cos - x1·sin, x1·cos + x0·sin).",
    ].join(" "),
    args: ["x", "cos", "sin", "start_pos?"],
    sizes: ["start_pos"],
    infer({ x, cos, sin, start_pos }) {
      requireFloats({ x, cos, sin });
      requireRank(x, "x", ["B", "H", "S", "D"]);
      requirePosition(start_pos, "start_pos");
      const [batch, , length, width] = x.type.shape as [Dim, Dim, Dim, Dim];
      const rank = cos.type.shape.length;
      if (rank !== 2 && rank !== 3)
        throw new InferenceError(
          `cos must be [T, R/2] or [B, S, R/2], and is ${formatShape(cos.type.shape)}`,
        );
      requireRank(sin, "sin", cos.type.shape.map(dimKey));
      cos.type.shape.forEach((size, i) => {
        requireSameSize({ [`axis ${i} of cos`]: size, [`axis ${i} of sin`]: sin.type.shape[i]! });
      });
      if (rank === 3) {
        const [rows, tokens] = cos.type.shape as [Dim, Dim, Dim];
        if (start_pos !== undefined)
          throw new InferenceError("start_pos goes with tables of all positions, and cos has a row a token");
        if (rows !== 1) requireSameSize({ "B of x": batch, "B of cos": rows });
        requireSameSize({ "S of x": length, "S of cos": tokens });
      }
      const rotated = multiplyDims(lastDim(cos, "cos"), 2);
      if (!isSymbolic(rotated) && !isSymbolic(width) && rotated > width)
        throw new InferenceError(`cos rotates ${rotated} elements of the ${width} that x has`);
      return [x.type];
    },
    kernel: kernels["nn.rope"],
  },

  "nn.sdpa": attentionOp,
};

function activation(formula: string) {
  return {
    doc: `${formula} Element by element.`,
    args: ["x"] as const,
    rowwise: "x" as const,
    infer({ x }: { readonly x: ArgInfo }) {
      requireFloats({ x });
      return [x.type];
    },
  };
}
