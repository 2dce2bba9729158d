import type { Builder, Value } from "../../ir/graph.ts";
import type { Activations } from "../../ir/ops/signatures.ts";
import { computedWeight, inlineLimit, inlineWeight, readWeight, type WeightRef } from "../../ir/weights.ts";
import { elementCount, type Tensor, tensor } from "../../tensor/tensor.ts";
import { definePass } from "../pass.ts";
import type { Hole, PatternBuilder } from "../pattern.ts";
import { rewritePass, rule } from "../rule.ts";

/** The scale s of `bitnet.quantize`, its second result. */
const isActivationScale = (value: Value): boolean =>
  value.node?.op === "bitnet.quantize" && value.def.kind === "node" && value.def.index === 1;

const scaleOf = (codes: Value): Value => codes.node!.results[1]!;

/** Linear layers that divide by the activation scale after the product: bring the division in front. */
const codesIntoLinear = rule({
  name: "activation-scale-in-front",
  doc: "W · q → (W · (q / s)) · s, so that the division behind the product cancels",
  quiet: true,
  pattern(p) {
    const codes = p("bitnet.quantize", {});
    const w = p.any();
    return { root: p("nn.linear", { x: codes, weight: w }), codes, w };
  },
  rewrite(b, m) {
    const { bias, scale } = m.root.node!.args;
    if (bias !== undefined || scale !== undefined) return undefined;
    const s = scaleOf(m.codes);
    const linear = b("nn.linear", { x: b("div", { a: m.codes, b: s }), weight: m.w });
    return b("mul", { a: linear, b: s });
  },
});

const reciprocalScale = rule({
  name: "times-reciprocal-scale",
  doc: "y · (1 / s) → y / s, for an activation scale s",
  quiet: true,
  pattern(p) {
    const [y, s] = [p.any(), p.any()];
    return { root: p("mul", { a: y, b: p("reciprocal", { x: s }) }), y, s };
  },
  rewrite: (b, m) => (isActivationScale(m.s) ? b("div", { a: m.y, b: m.s }) : undefined),
});

/** (y · s) / (s · c) and its spellings: what remains is y / c or y · c. */
const cancelScale = (
  name: string,
  keeps: "div" | "mul" | "nothing",
  spellings: (p: PatternBuilder, h: Record<"product" | "s" | "c", Hole>) => Hole[],
) =>
  rule({
    name,
    doc: `(y · s) and a division by s → y${keeps === "nothing" ? "" : keeps === "div" ? " / c" : " · c"}, for an activation scale s`,
    quiet: true,
    pattern(p) {
      const [y, s, c] = [p.any(), p.any(), p.optional(p.constant())];
      const product = p("mul", { a: y, b: s });
      return { root: p.either(...spellings(p, { product, s, c })), y, s, c };
    },
    rewrite(b, m) {
      if (!isActivationScale(m.s)) return undefined;
      return keeps === "nothing" ? m.y : b(keeps, { a: m.y, b: m.c! });
    },
  });

const cancellations = [
  cancelScale("cancel-scaled-division", "div", (p, { product, s, c }) => [
    p("div", { a: product, b: p("mul", { a: s, b: c }) }),
    p("div", { a: p("div", { a: product, b: c }), b: s }),
  ]),
  cancelScale("cancel-scaled-product", "mul", (p, { product, s, c }) => [
    p("div", { a: p("mul", { a: product, b: c }), b: s }),
    p("mul", { a: product, b: p("div", { a: c, b: s }) }),
  ]),
  cancelScale("cancel-division", "nothing", (p, { product, s }) => [p("div", { a: product, b: s })]),
];

const quantizedActivations = rule({
  name: "bitnet-linear",
  doc: "bitnet.linear of fake-quantised activations q / s → bitnet.linear with int8-per-token activations",
  pattern(p) {
    const codes = p("bitnet.quantize", {});
    const [s, weight, scale] = [p.any(), p.any(), p.any()];
    return {
      root: p("bitnet.linear", { x: p("div", { a: codes, b: s }), weight, scale }, { activations: "float" }),
      codes,
      s,
      weight,
      scale,
    };
  },
  check(m) {
    return m.s === scaleOf(m.codes)
      ? undefined
      : m.no("the codes are divided by something else than their scale", m.s);
  },
  rewrite(b, m) {
    const { args, attrs } = m.root.node!;
    return b.untyped(
      "bitnet.linear",
      { ...args, x: m.codes.node!.arg("x") },
      { ...attrs, activations: "int8-per-token" },
    )[0];
  },
});

/** A constant factor behind the product joins the weight's scale; a bias in between would be scaled too. */
const absorbScale = rule({
  name: "absorb-weight-scale",
  doc: "bitnet.linear(x) · c → bitnet.linear with scale · c; c a number or one for each output",
  quiet: true,
  pattern(p) {
    const c = p.constant();
    const linear = p("bitnet.linear", {});
    return { root: p.either(p("mul", { a: linear, b: c }), p("div", { a: linear, b: c })), linear, c };
  },
  rewrite(b, m) {
    const { args, attrs } = m.linear.node!;
    const [weight, scale] = [m.linear.node!.arg("weight"), m.linear.node!.arg("scale")];
    const outputs = weight.type.shape[0] as number;
    const count = elementCount(m.c.type.shape as number[]);
    const isPerOutput = count === 1 || (count === outputs && m.c.type.shape.at(-1) === outputs);
    if (
      args.bias !== undefined ||
      !isPerOutput ||
      m.isShared(m.linear) ||
      scale.def.kind !== "const" ||
      m.c.def.kind !== "const"
    )
      return undefined;
    const combined = combineScales(scale.def.data, m.c.def.data, outputs, m.root.node!.op === "div");
    return b.untyped("bitnet.linear", { ...args, scale: b.constant(combined) }, attrs)[0];
  },
});

/** scale · c or scale / c in f32: [1], [N] or [N, G], as wide as the wider of the two. */
function combineScales(scale: WeightRef, c: WeightRef, outputs: number, isDivision: boolean): WeightRef {
  const count = elementCount(c.shape);
  const shape = count === 1 ? scale.shape : scale.shape.length === 2 ? scale.shape : [outputs];
  const perOutput = elementCount(shape) / outputs;
  const combine = (a: Tensor, by: Tensor): Tensor => {
    const out = new Float32Array(elementCount(shape));
    for (let i = 0; i < out.length; i++) {
      const factor = by.data[count === 1 ? 0 : Math.floor(i / perOutput)]!;
      const from = a.data[a.data.length === 1 ? 0 : i]!;
      out[i] = isDivision ? from / factor : from * factor;
    }
    return tensor("f32", shape, out);
  };
  if (scale.inline && c.inline && elementCount(shape) <= inlineLimit)
    return inlineWeight(combine(scale.inline, c.inline));
  const id = `(${scale.id}) ${isDivision ? "/" : "*"} (${c.id})`;
  return computedWeight(id, "f32", shape, async () => combine(await readWeight(scale), await readWeight(c)));
}

const linearBias = rule({
  name: "bitnet-linear-bias",
  doc: "bitnet.linear(x) + bias → bitnet.linear with its bias",
  quiet: true,
  pattern(p) {
    const bias = p.constant();
    const linear = p("bitnet.linear", {});
    return { root: p("add", { a: linear, b: bias }), linear, bias };
  },
  rewrite(b, m) {
    const { args, attrs } = m.linear.node!;
    const isRow =
      m.bias.type.shape.length === 1 && m.bias.type.shape[0] === m.linear.node!.arg("weight").type.shape[0];
    if (!isRow || m.isShared(m.linear) || args.bias !== undefined) return undefined;
    return b.untyped("bitnet.linear", { ...args, bias: m.bias }, attrs)[0];
  },
});

export const placeActivationScales = rewritePass(
  "place-activation-scales",
  "Brings divisions by the activation scale in front of the product.",
  [codesIntoLinear, reciprocalScale, ...cancellations],
);

export const fuseBitnetLinear = rewritePass(
  "fuse-bitnet-linear",
  "Joins activation quantisation, ternary product and weight scale into bitnet.linear.",
  [...cancellations, quantizedActivations, absorbScale, linearBias],
);

export const overrideActivations = definePass({
  name: "override-activations",
  doc: "Applies --activations: the user's choice instead of the model's.",
  run(graph, { options }) {
    if (options.activations === undefined) return;
    const b: Builder = graph.edit("override-activations");
    const activations: Activations = options.activations;
    for (const node of graph.nodes)
      if (node.op === "bitnet.linear" && node.attrs.activations !== activations)
        b.replace(
          node.results[0]!,
          b.untyped("bitnet.linear", node.args, { ...node.attrs, activations })[0]!,
        );
  },
});
