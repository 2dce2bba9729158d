import type { Node } from "../../../ir/graph.ts";
import { f32 } from "../../../ir/type.ts";
import { dataOf } from "../constants.ts";
import type { Emitter } from "../emitter.ts";
import { needsConstants, one, resultType, type VulkanLowering } from "../lowering.ts";
import type { VulkanTensor } from "../value.ts";

function rmsNorm(e: Emitter, node: Node): VulkanTensor {
  const [input, weight] = [e.tensor(node.arg("x")), e.constant(dataOf(node, "scale"))];
  return e.op("et_vk.rms_norm.default", { input, weight, eps: node.attrs.eps as number }, resultType(node));
}

const mean = (e: Emitter, self: VulkanTensor): VulkanTensor =>
  e.op("aten.mean.dim", { self, dim: [-1], keepdim: 1, dtype: undefined }, f32(self.shape.with(-1, 1)));

/** Step by step: the op for it keeps the largest size in the backend for WebGPU. */
function layerNorm(e: Emitter, node: Node): VulkanTensor {
  const x = e.tensor(node.arg("x"));
  const centred = e.op("aten.sub.Tensor", { self: x, other: mean(e, x), alpha: 1 }, resultType(node));
  const square = e.op("aten.mul.Tensor", { self: centred, other: centred }, resultType(node));
  const variance = mean(e, square);
  const sum = { self: variance, other: e.number(node.attrs.eps as number), alpha: 1 };
  const inverse = e.op("aten.rsqrt.default", { self: e.op("aten.add.Tensor", sum, variance) }, variance);
  const normal = e.op("aten.mul.Tensor", { self: centred, other: inverse }, resultType(node));
  const scaled = e.op(
    "aten.mul.Tensor",
    { self: normal, other: e.operand(node.arg("scale")) },
    resultType(node),
  );
  const bias = node.optional("bias");
  if (bias === undefined) return scaled;
  return e.op("aten.add.Tensor", { self: scaled, other: e.operand(bias), alpha: 1 }, resultType(node));
}

const overLast = (emit: (e: Emitter, node: Node) => VulkanTensor): VulkanLowering =>
  one(emit, (node) => {
    const axes = (node.attrs.axes ?? [node.attrs.axis]) as readonly number[];
    const last = node.arg("x").type.shape.length - 1;
    return axes.length === 1 && (axes[0] === -1 || axes[0] === last)
      ? undefined
      : "it must go over the last axis alone";
  });

const extreme = (op: "aten.amax.default" | "aten.amin.default"): VulkanLowering =>
  overLast((e, node) => {
    const keepdim = node.attrs.keepdims === true;
    return e.op(op, { self: e.tensor(node.arg("x")), dim: [-1], keepdim }, resultType(node));
  });

const sum = (op: "aten.mean.dim" | "aten.sum.dim_IntList"): VulkanLowering =>
  overLast((e, node) => {
    const keepdim = node.attrs.keepdims === true ? 1 : 0;
    return e.op(
      op,
      { self: e.tensor(node.arg("x")), dim: [-1], keepdim, dtype: undefined },
      resultType(node),
    );
  });

/** What goes over the elements of each row. */
export const rows = {
  "nn.rms_norm": one(rmsNorm, needsConstants("scale")),
  "nn.layer_norm": one(layerNorm),
  softmax: overLast((e, node) => {
    const args = { self: e.tensor(node.arg("x")), dim: -1, half_to_float: false };
    return e.op("aten._softmax.default", args, resultType(node));
  }),
  reduce_max: extreme("aten.amax.default"),
  reduce_min: extreme("aten.amin.default"),
  reduce_mean: sum("aten.mean.dim"),
  reduce_sum: sum("aten.sum.dim_IntList"),
} satisfies Record<string, VulkanLowering>;
