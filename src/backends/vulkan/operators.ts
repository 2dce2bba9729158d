/**
 * The ops of ExecuTorch's Vulkan backend that delegates use, with their arguments in order, the results left out: a
 * call ends with its result, or with the list of its results (executorch backends/vulkan/runtime/graph/ops/impl, and
 * backends/webgpu/runtime/ops, which reads the same graphs). Only what both backends have is here.
 */

/**
 * What an argument takes. A `constant` is data of the program that the op takes as it is; an `operand` that or a tensor
 * in memory. `none` is one that is always left empty.
 */
type Kind =
  | "tensor"
  | "tensors"
  | "constant"
  | "constant?"
  | "operand"
  | "int"
  | "ints"
  | "double"
  | "double?"
  | "bool"
  | "string"
  | "none";

export type Schema = Readonly<Record<string, Kind>>;

const unary = { self: "tensor" } as const;
const binary = { self: "operand", other: "operand" } as const;
const reduction = { self: "tensor", dim: "ints", keepdim: "bool" } as const;

/** Ops with one tensor as their result. */
export const tensorOps = {
  "et_vk.prepack.default": { data: "constant" },
  "et_vk.linear_q4gsw.default": {
    self: "tensor",
    weights: "constant",
    weight_scales: "constant",
    group_size: "int",
    bias: "constant?",
  },
  "et_vk.embedding_q4gsw.default": {
    weight: "constant",
    weight_scales: "constant",
    group_size: "int",
    indices: "tensor",
    is_linear_weight: "bool",
  },
  "et_vk.rms_norm.default": { input: "tensor", weight: "constant", eps: "double" },
  "sdpa_with_kv_cache.default": {
    query: "tensor",
    key: "tensor",
    value: "tensor",
    key_cache: "constant",
    value_cache: "constant",
    start_pos: "int",
    seq_len: "int",
    attn_mask: "none",
    dropout_p: "none",
    is_causal: "none",
    scale: "none",
  },
  "aten.embedding.default": {
    weight: "constant",
    indices: "tensor",
    padding_idx: "int",
    scale_grad_by_freq: "bool",
    sparse: "bool",
  },
  "aten.linear.default": { input: "tensor", weight: "constant", bias: "constant?" },
  "aten.bmm.default": { self: "tensor", mat2: "tensor" },
  "aten.view_copy.default": { self: "tensor", size: "ints" },
  "aten.permute_copy.default": { self: "tensor", dims: "ints" },
  "aten.expand_copy.default": { self: "tensor", size: "ints", implicit: "bool" },
  "aten.slice_copy.Tensor": { self: "tensor", dim: "int", start: "int", end: "int", step: "int" },
  "aten.select_copy.int": { self: "tensor", dim: "int", index: "int" },
  "aten.cat.default": { tensors: "tensors", dim: "int" },
  "aten.clone.default": { self: "tensor", memory_format: "none" },
  "aten.add.Tensor": { ...binary, alpha: "int" },
  "aten.sub.Tensor": { ...binary, alpha: "int" },
  "aten.mul.Tensor": binary,
  "aten.div.Tensor": binary,
  "aten.div.Tensor_mode": { ...binary, rounding_mode: "string" },
  "aten.minimum.default": binary,
  "aten.pow.Tensor_Scalar": { self: "tensor", exponent: "double" },
  "aten.abs.default": unary,
  "aten.cos.default": unary,
  "aten.exp.default": unary,
  "aten.neg.default": unary,
  "aten.relu.default": unary,
  "aten.round.default": unary,
  "aten.rsqrt.default": unary,
  "aten.sigmoid.default": unary,
  "aten.sin.default": unary,
  "aten.sqrt.default": unary,
  "aten.tanh.default": unary,
  "aten.gelu.default": { self: "tensor", approximate: "string" },
  "aten.clamp.default": { self: "tensor", min: "double?", max: "double?" },
  "aten._softmax.default": { self: "tensor", dim: "int", half_to_float: "bool" },
  "aten.amax.default": reduction,
  "aten.amin.default": reduction,
  // The backend for WebGPU takes no Bool here.
  "aten.mean.dim": { self: "tensor", dim: "ints", keepdim: "int", dtype: "none" },
  "aten.sum.dim_IntList": { self: "tensor", dim: "ints", keepdim: "int", dtype: "none" },
} as const satisfies Readonly<Record<string, Schema>>;

/** Ops with several tensors as their results, in one list. */
export const listOps = {
  "et_vk.apply_rotary_emb_hf.default": {
    xq: "tensor",
    xk: "tensor",
    freqs_cos: "tensor",
    freqs_sin: "tensor",
    start_pos: "int",
  },
} as const satisfies Readonly<Record<string, Schema>>;

const ofInts = { a: "int", b: "int" } as const;

/** Ops whose result is an integer that is computed when the graph runs. */
export const intOps = {
  "sym_size.int": { self: "tensor", dim: "int" },
  "et_vk.select_as_symint.default": { x: "tensor", dim: "int", index: "int" },
  add: ofInts,
  sub: ofInts,
  mul: ofInts,
  floordiv: ofInts,
} as const satisfies Readonly<Record<string, Schema>>;

export type TensorOp = keyof typeof tensorOps;
export type ListOp = keyof typeof listOps;
export type IntOp = keyof typeof intOps;
export type VulkanOp = TensorOp | ListOp | IntOp;

export const schemas: { readonly [O in VulkanOp]: Schema } = { ...tensorOps, ...listOps, ...intOps };
