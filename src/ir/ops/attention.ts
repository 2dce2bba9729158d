import { neuralKernels } from "../../runtime/cpu/kernels/neural.ts";
import { type Dim, isSymbolic } from "../../tensor/dim.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { tensorType } from "../type.ts";
import { InferenceError, type OpDef } from "./op.ts";
import { requireFloats, requirePosition, requireRank, requireSameSize } from "./require.ts";
import { broadcastShapes, formatShape } from "./shapes.ts";
import type { NeuralOps } from "./signatures.ts";

/** `nn.sdpa`. */
export const attentionOp: OpDef<NeuralOps["nn.sdpa"]> = {
  doc: [
    "Scaled dot-product attention (Vaswani et al. 2017, arXiv:1706.03762), softmax(scale · q·kᵀ + mask) · v,",
    "with grouped-query heads (Ainslie et al. 2023, arXiv:2305.13245): query head h reads key/value head floor(h / (H/Hk)).",
    "q [B, H, S, D], k [B, Hk, T, D], v [B, Hk, T, Dv] → [B, H, S, Dv] in q's dtype.",
    "mask broadcasts to [B, H, S, T]: a bool one says which keys a query sees, a float one is added to the scores.",
    "With start_pos, k and v are caches of T rows, query i is at position start_pos + i and sees keys 0 to start_pos + i; `causal` is then set.",
    "Without it, `causal` shows query i the keys up to i + T - S.",
    "softcap c > 0: scores become c · tanh(score / c) before the mask. window w > 0: a query sees the last w keys up to its own.",
    "A query that sees no key gives zeros.",
  ].join(" "),
  args: ["q", "k", "v", "mask?", "start_pos?"],
  sizes: ["start_pos"],
  infer({ q, k, v, mask, start_pos }) {
    requireFloats({ q, k, v });
    requireRank(q, "q", ["B", "H", "S", "D"]);
    requireRank(k, "k", ["B", "Hk", "T", "D"]);
    requireRank(v, "v", ["B", "Hk", "T", "Dv"]);
    requirePosition(start_pos, "start_pos");
    const [batch, heads, length, width] = q.type.shape as [Dim, Dim, Dim, Dim];
    const [keyBatch, keyHeads, keys, keyWidth] = k.type.shape as [Dim, Dim, Dim, Dim];
    const [valueBatch, valueHeads, values, valueWidth] = v.type.shape as [Dim, Dim, Dim, Dim];
    requireSameSize({ "B of q": batch, "B of k": keyBatch, "B of v": valueBatch });
    requireSameSize({ "Hk of k": keyHeads, "Hk of v": valueHeads });
    requireSameSize({ "D of q": width, "D of k": keyWidth });
    const size = requireSameSize({ "T of k": keys, "T of v": values });
    if (!isSymbolic(heads) && !isSymbolic(keyHeads) && heads % keyHeads !== 0)
      throw new InferenceError(`${heads} query heads do not divide among ${keyHeads} key heads`);
    if (mask !== undefined) {
      if (mask.type.dtype !== "bool" && !isFloat(mask.type.dtype))
        throw new InferenceError(`mask must be bool or a float, and is ${mask.type.dtype}`);
      const scores = [batch, heads, length, size];
      const broadcast = broadcastShapes(scores, mask.type.shape);
      if (broadcast.length !== 4)
        throw new InferenceError(`mask ${formatShape(mask.type.shape)} has more axes than the scores`);
      broadcast.forEach((each, axis) => {
        requireSameSize({ "the scores' axis": scores[axis]!, "the mask's": each });
      });
    }
    return [tensorType(q.type.dtype, [batch, heads, length, valueWidth])];
  },
  verify({ start_pos }, { causal, softcap, window }) {
    if (start_pos !== undefined && !causal) return "start_pos needs causal attention";
    if (!(softcap >= 0)) return `softcap must be 0 or more, and is ${softcap}`;
    if (!Number.isInteger(window) || window < 0)
      return `window must be 0 or a number of keys, and is ${window}`;
    return undefined;
  },
  kernel: neuralKernels["nn.sdpa"],
};
