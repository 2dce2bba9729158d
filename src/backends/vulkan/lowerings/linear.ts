import type { Node } from "../../../ir/graph.ts";
import { type Q4Parts, q4Group } from "../../../ir/q4.ts";
import { f32 } from "../../../ir/type.ts";
import { transposeWeight, type WeightRef } from "../../../ir/weights.ts";
import { type Dim, isSymbolic, productOf } from "../../../tensor/dim.ts";
import { firstOf } from "../../refusal.ts";
import { dataOf, mostBufferElements, q4Of, refuseLarge, shapeOf } from "../constants.ts";
import type { Emitter } from "../emitter.ts";
import { heavy, needsConstants, type VulkanLowering } from "../lowering.ts";
import type { VulkanConstant, VulkanTensor } from "../value.ts";
import { packNibbles } from "../weights.ts";

/** x [..., K] as [1, M, K]: products take one matrix. Projections of one input share it. */
export function asMatrix(e: Emitter, x: VulkanTensor): VulkanTensor {
  if (x.shape.length === 3 && x.shape[0] === 1) return x;
  return e.once(`matrix ${x.id}`, () => e.view(x, [1, productOf(x.shape.slice(0, -1)), x.shape.at(-1)!]));
}

/** y [1, M, N] as the node's result [..., N], with its bias. */
export function finish(e: Emitter, node: Node, y: VulkanTensor): VulkanTensor {
  const bias = node.optional("bias");
  const sum =
    bias === undefined ? y : e.op("aten.add.Tensor", { self: y, other: e.operand(bias), alpha: 1 }, y);
  return e.view(sum, node.results[0]!.type.shape);
}

/** Rows of a weight that is too large for a buffer go into several. The backend for WebGPU takes two axes alone. */
function linear(e: Emitter, node: Node): VulkanTensor {
  const quantized = q4Of(node, "weight");
  if (quantized !== undefined) return q4Linear(e, node, quantized);
  const all = e.tensor(node.arg("x"));
  const x = e.view(all, [productOf(all.shape.slice(0, -1)), all.shape.at(-1)!]);
  const weight = dataOf(node, "weight");
  const [rows, depth] = weight.shape as readonly [number, number];
  const bias = node.optional("bias") && dataOf(node, "bias");
  const shape = (columns: number) => f32([...x.shape.slice(0, -1), columns]);
  const step = Math.floor(mostBufferElements / depth / 4) * 4;
  const parts: VulkanTensor[] = [];
  for (let from = 0; from < rows; from += step) {
    const to = Math.min(rows, from + step);
    const part = (ref: WeightRef): VulkanConstant =>
      to - from === rows ? e.constant(ref) : e.rows(e.constant(ref), from, to);
    const args = { input: x, weight: part(weight), bias: bias && part(bias) };
    parts.push(e.op("aten.linear.default", args, shape(to - from)));
  }
  const y =
    parts.length === 1 ? parts[0]! : e.op("aten.cat.default", { tensors: parts, dim: -1 }, shape(rows));
  return e.view(y, node.results[0]!.type.shape);
}

function q4Linear(e: Emitter, node: Node, { codes, scales }: Q4Parts): VulkanTensor {
  const self = asMatrix(e, e.tensor(node.arg("x")));
  const args = {
    self,
    weights: e.constant(packNibbles(codes)),
    weight_scales: e.constant(transposeWeight(scales)),
    group_size: q4Group,
    bias: undefined,
  };
  const shape = [...self.shape.slice(0, -1), codes.shape[0]!];
  return finish(e, node, e.op("et_vk.linear_q4gsw.default", args, f32(shape)));
}

function refuseLinear(node: Node): string | undefined {
  if (node.optional("scale") !== undefined) return "no op of both GPU backends has int8 weights";
  const [, depth] = shapeOf(node, "weight") as readonly [number, number];
  return refuseLarge("a row of weight", 4 * depth);
}

/** Batch axes as one. */
function matmul(e: Emitter, node: Node): VulkanTensor {
  const { shape } = node.results[0]!.type;
  const count = productOf(shape.slice(0, -2));
  const [self, mat2] = (["a", "b"] as const).map((name) => {
    const x = e.tensor(node.arg(name));
    return e.view(x, [count, ...x.shape.slice(-2)]);
  });
  const product = e.op("aten.bmm.default", { self: self!, mat2: mat2! }, f32([count, ...shape.slice(-2)]));
  return e.view(product, shape);
}

function refuseMatmul(node: Node): string | undefined {
  const [a, b] = ["a", "b"].map((name) => node.arg(name).type.shape) as [readonly Dim[], readonly Dim[]];
  if (a.length < 2 || b.length < 2) return "a and b must have two axes at least";
  const batches = [a, b].map((shape) => productOf(shape.slice(0, -2)));
  if (isSymbolic(batches[0]!) || batches[0] !== batches[1]) return "a and b must have the same batch axes";
  if ([a.at(-1)!, b.at(-1)!].some(isSymbolic))
    return "the sizes of its matrices must be known, but for rows of a";
  return undefined;
}

/** Products of floats. */
export const linears = {
  "nn.linear": heavy(linear, firstOf(needsConstants("weight", "bias"), refuseLinear)),
  matmul: heavy(matmul, refuseMatmul),
} satisfies Record<string, VulkanLowering>;
