import type { Node } from "../../../ir/graph.ts";
import { f32 } from "../../../ir/type.ts";
import { transposeWeight, type WeightRef } from "../../../ir/weights.ts";
import { longestExactSum, reciprocalWeight } from "../../exact-sums.ts";
import { firstOf } from "../../refusal.ts";
import { dataOf, refuseLarge, shapeOf } from "../constants.ts";
import type { Emitter } from "../emitter.ts";
import { heavy, needsConstants, type VulkanLowering } from "../lowering.ts";
import type { VulkanTensor } from "../value.ts";
import { filledWeight, packNibbles } from "../weights.ts";
import { asMatrix, finish } from "./linear.ts";

/** s = 127 / max(max|x|, 1e-5), codes = round(x · s): |x · s| is at most 127 and a rounding error, nothing to clamp. */
const quantize = (e: Emitter, x: VulkanTensor): { codes: VulkanTensor; scales: VulkanTensor } =>
  e.once(`quantized ${x.id}`, () => {
    const row = f32([...x.shape.slice(0, -1), 1]);
    const magnitudes = e.op("aten.abs.default", { self: x }, f32(x.shape));
    const largest = e.op("aten.amax.default", { self: magnitudes, dim: [-1], keepdim: true }, row);
    const clamped = e.op("aten.clamp.default", { self: largest, min: 1e-5, max: undefined }, row);
    const scales = e.op("aten.div.Tensor", { self: e.number(127), other: clamped }, row);
    const scaled = e.op("aten.mul.Tensor", { self: x, other: scales }, f32(x.shape));
    return { codes: e.op("aten.round.default", { self: scaled }, f32(x.shape)), scales };
  });

/**
 * Integers times ternary codes under the scale 1, a group of all K: the sums are exact. Then, as BitLinear in
 * transformers rounds it, the quotient by the f32 product of s and the stored 1/w.
 */
function bitnetLinear(e: Emitter, node: Node): VulkanTensor {
  const x = asMatrix(e, e.tensor(node.arg("x")));
  const codes = dataOf(node, "weight");
  const scale = dataOf(node, "scale");
  const [rows, depth] = codes.shape as readonly [number, number];
  const group = node.attrs.group as number;
  const isQuantized = node.attrs.activations === "int8-per-token";
  const input = isQuantized ? quantize(e, x) : { codes: x, scales: undefined };
  const shape = [...x.shape.slice(0, -1), rows];
  const weight_scales = group > 0 ? transposeWeight(scale) : filledWeight([1, rows], 1);
  const sums = e.op(
    "et_vk.linear_q4gsw.default",
    {
      self: input.codes,
      weights: e.constant(packNibbles(codes)),
      weight_scales: e.constant(weight_scales),
      group_size: group > 0 ? group : depth,
      bias: undefined,
    },
    f32(shape),
  );
  const y = rescale(e, sums, input.scales, group > 0 ? undefined : scale);
  return finish(e, node, y);
}

/** sums · w / s. */
function rescale(
  e: Emitter,
  sums: VulkanTensor,
  scales: VulkanTensor | undefined,
  weightScale: WeightRef | undefined,
): VulkanTensor {
  if (scales === undefined)
    return weightScale === undefined
      ? sums
      : e.op("aten.mul.Tensor", { self: sums, other: e.constant(weightScale) }, sums);
  if (weightScale === undefined) return e.op("aten.div.Tensor", { self: sums, other: scales }, sums);
  const inverse = e.constant(reciprocalWeight(weightScale));
  const columns = inverse.weight.shape[0]!;
  const divisors = e.once(`divisors ${scales.id} ${inverse.weight.id}`, () =>
    e.op("aten.mul.Tensor", { self: scales, other: inverse }, f32(scales.shape.with(-1, columns))),
  );
  return e.op("aten.div.Tensor", { self: sums, other: divisors }, sums);
}

function refuseBitnetLinear(node: Node): string | undefined {
  const { dtype } = node.arg("weight").type;
  if (dtype !== "i8") return `the codes must be i8, and are ${dtype}`;
  const [rows, depth] = shapeOf(node, "weight") as readonly [number, number];
  const group = node.attrs.group as number;
  if (rows % 4 !== 0) return `linear_q4gsw computes outputs by fours, and there are ${rows}`;
  if (depth % 8 !== 0) return `linear_q4gsw reads rows by eights, and they have ${depth} weights`;
  if (group % 4 !== 0 || (group > 0 && depth % group !== 0))
    return `linear_q4gsw takes groups of a multiple of four that divides a row, and groups of ${group} do not divide ${depth} so`;
  if (node.attrs.activations === "int8-per-token" && depth > longestExactSum)
    return `sums of ${depth} products are not exact in f32`;
  return refuseLarge("weight", (rows * depth) / 8);
}

export const bitnet = {
  "bitnet.quantize": {
    emit(e, node) {
      const { codes, scales } = quantize(e, e.tensor(node.arg("x")));
      e.bind(node.results[0]!, codes);
      e.bind(node.results[1]!, scales);
    },
  },
  "bitnet.linear": heavy(bitnetLinear, firstOf(needsConstants("weight", "scale"), refuseBitnetLinear)),
} satisfies Record<string, VulkanLowering>;
