import { rewritePass, rule } from "../rule.ts";
import { overLastAxis } from "./fuse-activation-quantization.ts";

const rmsNorm = rule<"x" | "scale" | "eps">({
  name: "rms-norm",
  doc: "x · rsqrt(mean(x²) + ε) · scale → nn.rms_norm, summed in f32 (arXiv 1910.07467)",
  pattern(p) {
    const [x, scale, eps] = [p.any(), p.any(), p.scalar()];
    const mean = p("reduce_mean", { x: p("mul", { a: x, b: x }) }, overLastAxis);
    const norm = p("mul", { a: x, b: p("rsqrt", { x: p("add", { a: mean, b: eps }) }) });
    return { root: p("mul", { a: norm, b: scale }), x, scale, eps };
  },
  check(m) {
    const width = m.x.type.shape.at(-1);
    if (m.scale.type.shape.length !== 1 || m.scale.type.shape[0] !== width)
      return m.no("the scale is not a vector over the last axis", m.scale);
    return undefined;
  },
  rewrite: (b, m) => b("nn.rms_norm", { x: m.x, scale: m.scale }, { eps: m.scalar(m.eps)! }),
});

const layerNorm = rule<"x" | "scale" | "eps">({
  name: "layer-norm",
  doc: "(x - mean(x)) · rsqrt(var(x) + ε) · scale → nn.layer_norm (arXiv 1607.06450)",
  pattern(p) {
    const [x, scale, eps] = [p.any(), p.any(), p.scalar()];
    const centred = p("sub", { a: x, b: p("reduce_mean", { x }, overLastAxis) });
    const variance = p("reduce_mean", { x: p("mul", { a: centred, b: centred }) }, overLastAxis);
    const norm = p("mul", { a: centred, b: p("rsqrt", { x: p("add", { a: variance, b: eps }) }) });
    return { root: p("mul", { a: norm, b: scale }), x, scale, eps };
  },
  check(m) {
    const width = m.x.type.shape.at(-1);
    if (m.scale.type.shape.length !== 1 || m.scale.type.shape[0] !== width)
      return m.no("the scale is not a vector over the last axis", m.scale);
    return undefined;
  },
  rewrite: (b, m) => b("nn.layer_norm", { x: m.x, scale: m.scale }, { eps: m.scalar(m.eps)! }),
});

const layerNormBias = rule<"x" | "scale" | "norm" | "bias">({
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
    if (!isBias || m.norm.node!.args.bias !== undefined || m.norm.users.size > 1) return undefined;
    return b(
      "nn.layer_norm",
      { x: m.x, scale: m.scale, bias: m.bias },
      { eps: m.norm.node!.attrs.eps as number },
    );
  },
});

export const fuseNorms = rewritePass(
  "fuse-norms",
  "Recognises RMSNorm, in all the places a BitNet layer has it, and LayerNorm.",
  [layerNorm, layerNormBias, rmsNorm],
);
