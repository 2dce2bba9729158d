import type { Node } from "../../../ir/graph.ts";
import { type Q4Parts, q4Group } from "../../../ir/q4.ts";
import { f32 } from "../../../ir/type.ts";
import { isSymbolic } from "../../../tensor/dim.ts";
import { isFloat } from "../../../tensor/dtype.ts";
import { elementCount } from "../../../tensor/tensor.ts";
import { firstOf } from "../../refusal.ts";
import { dataOf, q4Of, refuseLarge, shapeOf } from "../constants.ts";
import type { Emitter } from "../emitter.ts";
import { needsConstants, one, type VulkanLowering } from "../lowering.ts";
import type { VulkanTensor } from "../value.ts";
import { packNibbles } from "../weights.ts";

/** With the flag that says so, the codes are those that the head has. */
function q4Embedding(e: Emitter, node: Node, { codes, scales }: Q4Parts): VulkanTensor {
  const args = {
    weight: e.constant(packNibbles(codes)),
    weight_scales: e.constant(scales),
    group_size: q4Group,
    indices: e.tensor(node.arg("ids")),
    is_linear_weight: true,
  };
  return e.op("et_vk.embedding_q4gsw.default", args, f32(node.results[0]!.type.shape));
}

/**
 * The backend for WebGPU looks up as many ids as there can be in a call, however many there are, so that rows are cut
 * off; Vulkan's has nothing to cut.
 */
function embedding(e: Emitter, node: Node): VulkanTensor {
  const quantized = q4Of(node, "table");
  if (quantized !== undefined) return q4Embedding(e, node, quantized);
  const indices = e.tensor(node.arg("ids"));
  const shape = [...indices.shape, shapeOf(node, "table")[1]!];
  const rows = e.op(
    "aten.embedding.default",
    {
      weight: e.constant(dataOf(node, "table")),
      indices,
      padding_idx: -1,
      scale_grad_by_freq: false,
      sparse: false,
    },
    f32(shape),
  );
  return indices.shape.reduce((all: VulkanTensor, size, dim) => {
    if (!isSymbolic(size)) return all;
    const args = { self: all, dim, start: 0, end: e.size(size), step: 1 };
    return e.op("aten.slice_copy.Tensor", args, f32(shape));
  }, rows);
}

function refuseEmbedding(node: Node): string | undefined {
  if (node.optional("scale") !== undefined) return "no op of both GPU backends has int8 tables";
  const { dtype } = node.arg("table").type;
  if (!isFloat(dtype)) return `table must be of floats, and is ${dtype}`;
  const elements = elementCount(shapeOf(node, "table"));
  return refuseLarge("table", q4Of(node, "table") ? elements / 8 : elements);
}

export const embeddings = {
  "nn.embedding": one(embedding, firstOf(needsConstants("table"), refuseEmbedding)),
} satisfies Record<string, VulkanLowering>;
