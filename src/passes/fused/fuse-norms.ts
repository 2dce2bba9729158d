import { sameDim } from "../../tensor/dim.ts";
import { type Match, type Miss, rewritePass, rule } from "../rule.ts";
import { overLastAxis } from "./fuse-activation-quantization.ts";

/** Norms have one factor for each element of the last axis. */
function checkScale(m: Match<"x" | "scale">): Miss | undefined {
  const { shape } = m.scale.type;
  const isVector = shape.length === 1 && shape[0] === m.x.type.shape.at(-1);
  return isVector ? undefined : m.no("the scale is not a vector over the last axis", m.scale);
}

const rmsNorm = rule({
  name: "rms-norm",
  doc: "x · rsqrt(mean(x²) + ε) · scale → nn.rms_norm, summed in f32 (arXiv 1910.07467)",
  pattern(p) {
    const [x, scale, eps] = [p.any(), p.any(), p.scalar()];
    const mean = p("reduce_mean", { x: p("mul", { a: x, b: x }) }, overLastAxis);
    const norm = p("mul", { a: x, b: p("rsqrt", { x: p("add", { a: mean, b: eps }) }) });
    return { root: p("mul", { a: norm, b: scale }), x, scale, eps };
  },
  check: checkScale,
  rewrite: (b, m) => b("nn.rms_norm", { x: m.x, scale: m.scale }, { eps: m.scalar(m.eps)! }),
});

const layerNorm = rule({
  name: "layer-norm",
  doc: "(x - mean(x)) · rsqrt(var(x) + ε) · scale → nn.layer_norm (arXiv 1607.06450)",
  pattern(p) {
    const [x, scale, eps] = [p.any(), p.any(), p.scalar()];
    const centred = p("sub", { a: x, b: p("reduce_mean", { x }, overLastAxis) });
    const variance = p("reduce_mean", { x: p("mul", { a: centred, b: centred }) }, overLastAxis);
    const norm = p("mul", { a: centred, b: p("rsqrt", { x: p("add", { a: variance, b: eps }) }) });
    return { root: p("mul", { a: norm, b: scale }), x, scale, eps };
  },
  check: checkScale,
  rewrite: (b, m) => b("nn.layer_norm", { x: m.x, scale: m.scale }, { eps: m.scalar(m.eps)! }),
});

const layerNormBias = rule({
  name: "layer-norm-bias",
  doc: "nn.layer_norm(x) + bias → nn.layer_norm with its bias",
  quiet: true,
  pattern(p) {
    const [x, scale, bias] = [p.any(), p.any(), p.constant()];
    const norm = p("nn.layer_norm", { x, scale });
    return { root: p("add", { a: norm, b: bias }), x, scale, norm, bias };
  },
  rewrite(b, m) {
    const isBias = m.bias.type.shape.length === 1 && m.bias.type.shape[0] === m.scale.type.shape[0];
    if (!isBias || m.norm.node!.args.bias !== undefined || m.isShared(m.norm)) return undefined;
    return b(
      "nn.layer_norm",
      { x: m.x, scale: m.scale, bias: m.bias },
      { eps: m.norm.node!.attrs.eps as number },
    );
  },
});

/** Norms of single heads are computed with the heads among the tokens, or as an axis of their own. */
const splitBeforeNorm = rule({
  name: "split-before-norm",
  doc: "reshape(nn.rms_norm(x)) into more axes that keep the last → nn.rms_norm(reshape(x))",
  quiet: true,
  pattern(p) {
    const [x, scale] = [p.any(), p.any()];
    const norm = p("nn.rms_norm", { x, scale });
    return { root: p("reshape", { x: norm }), x, scale, norm };
  },
  rewrite(b, m) {
    const after = m.root.type.shape;
    if (after.length <= m.x.type.shape.length || !sameDim(after.at(-1)!, m.x.type.shape.at(-1)!))
      return undefined;
    const eps = m.norm.node!.attrs.eps as number;
    return b("nn.rms_norm", { x: b("reshape", { x: m.x, shape: b.dims(after) }), scale: m.scale }, { eps });
  },
});

export const fuseNorms = rewritePass(
  "fuse-norms",
  "Recognises RMSNorm, in all the places a BitNet layer has it, and LayerNorm.",
  [layerNorm, layerNormBias, rmsNorm, splitBeforeNorm],
);
