/**
 * The operators of ExecuTorch's portable kernel library that programs use, with every argument of their schemas in
 * order (pytorch native_functions.yaml; executorch kernels/portable/functions.yaml and kernels/prim_ops), the out left
 * out: a kernel call ends with the out and, once more, with the result. That of `llama` is of its extension for
 * language models (executorch extension/llm/custom_ops).
 */

/** What an argument takes. `none` is one that is always left empty. */
type Kind =
  | "tensor"
  | "tensors"
  | "tensors?"
  | "int"
  | "int?"
  | "ints"
  | "scalar"
  | "scalar?"
  | "bool"
  | "string"
  | "none";

export type Schema = Readonly<Record<string, Kind>>;

const unary = { self: "tensor" } as const;
const binary = { self: "tensor", other: "tensor" } as const;
const withScalar = { self: "tensor", other: "scalar" } as const;
const reduction = { self: "tensor", dim: "ints", keepdim: "bool" } as const;
const scatter = { self: "tensor", dim: "int", index: "tensor", src: "tensor" } as const;
const typedReduction = { ...reduction, dtype: "none" } as const;

/** Operators that write their result to an out tensor, which they give the size that it has. */
export const tensorOps = {
  "aten::embedding.out": {
    weight: "tensor",
    indices: "tensor",
    padding_idx: "int",
    scale_grad_by_freq: "bool",
    sparse: "bool",
  },
  "aten::index_select.out": { self: "tensor", dim: "int", index: "tensor" },
  "aten::index.Tensor_out": { self: "tensor", indices: "tensors?" },
  "aten::index_put.out": { self: "tensor", indices: "tensors?", values: "tensor", accumulate: "bool" },
  "aten::gather.out": { self: "tensor", dim: "int", index: "tensor", sparse_grad: "bool" },
  "aten::scatter.src_out": scatter,
  "aten::scatter_add.out": scatter,
  "aten::_to_copy.out": { self: "tensor", non_blocking: "bool", memory_format: "none" },
  "aten::mm.out": { self: "tensor", mat2: "tensor" },
  "aten::bmm.out": { self: "tensor", mat2: "tensor" },
  "aten::view_copy.out": { self: "tensor", size: "ints" },
  "aten::permute_copy.out": { self: "tensor", dims: "ints" },
  "aten::unsqueeze_copy.out": { self: "tensor", dim: "int" },
  "aten::expand_copy.out": { self: "tensor", size: "ints", implicit: "bool" },
  "aten::slice_copy.Tensor_out": {
    self: "tensor",
    dim: "int",
    start: "int?",
    end: "int?",
    step: "int",
  },
  "aten::cat.out": { tensors: "tensors", dim: "int" },
  "aten::constant_pad_nd.out": { self: "tensor", pad: "ints", value: "scalar" },
  "aten::nonzero.out": unary,
  "aten::flip.out": { self: "tensor", dims: "ints" },
  "aten::repeat.out": { self: "tensor", repeats: "ints" },
  "aten::tril.out": { self: "tensor", diagonal: "int" },
  "aten::full.out": { size: "ints", fill_value: "scalar" },
  "aten::arange.start_out": { start: "scalar", end: "scalar", step: "scalar" },
  "aten::where.self_out": { condition: "tensor", self: "tensor", other: "tensor" },
  "aten::add.out": { ...binary, alpha: "scalar" },
  "aten::sub.out": { ...binary, alpha: "scalar" },
  "aten::mul.out": binary,
  "aten::div.out": binary,
  "aten::maximum.out": binary,
  "aten::minimum.out": binary,
  "aten::div.out_mode": { ...binary, rounding_mode: "string" },
  "aten::div.Scalar_mode_out": { ...withScalar, rounding_mode: "string" },
  "aten::remainder.Tensor_out": binary,
  "aten::fmod.Tensor_out": binary,
  "aten::bitwise_and.Tensor_out": binary,
  "aten::bitwise_or.Tensor_out": binary,
  "aten::bitwise_xor.Tensor_out": binary,
  "aten::bitwise_not.out": unary,
  "aten::pow.Tensor_Tensor_out": { self: "tensor", exponent: "tensor" },
  "aten::pow.Scalar_out": { self: "scalar", exponent: "tensor" },
  "aten::add.Scalar_out": { ...withScalar, alpha: "scalar" },
  "aten::sub.Scalar_out": { ...withScalar, alpha: "scalar" },
  "aten::rsub.Scalar_out": { ...withScalar, alpha: "scalar" },
  "aten::mul.Scalar_out": withScalar,
  "aten::div.Scalar_out": withScalar,
  "aten::eq.Tensor_out": binary,
  "aten::ne.Tensor_out": binary,
  "aten::lt.Tensor_out": binary,
  "aten::le.Tensor_out": binary,
  "aten::gt.Tensor_out": binary,
  "aten::ge.Tensor_out": binary,
  "aten::eq.Scalar_out": withScalar,
  "aten::lt.Scalar_out": withScalar,
  "aten::remainder.Scalar_out": withScalar,
  "aten::logical_and.out": binary,
  "aten::logical_or.out": binary,
  "aten::logical_xor.out": binary,
  "aten::logical_not.out": unary,
  "aten::abs.out": unary,
  "aten::acos.out": unary,
  "aten::acosh.out": unary,
  "aten::asin.out": unary,
  "aten::asinh.out": unary,
  "aten::atan.out": unary,
  "aten::atanh.out": unary,
  "aten::ceil.out": unary,
  "aten::cos.out": unary,
  "aten::cosh.out": unary,
  "aten::erf.out": unary,
  "aten::exp.out": unary,
  "aten::floor.out": unary,
  "aten::isinf.out": unary,
  "aten::isnan.out": unary,
  "aten::log.out": unary,
  "aten::neg.out": unary,
  "aten::reciprocal.out": unary,
  "aten::relu.out": unary,
  "aten::round.out": unary,
  "aten::rsqrt.out": unary,
  "aten::sigmoid.out": unary,
  "aten::sign.out": unary,
  "aten::sin.out": unary,
  "aten::sinh.out": unary,
  "aten::sqrt.out": unary,
  "aten::tan.out": unary,
  "aten::tanh.out": unary,
  "aten::gelu.out": { self: "tensor", approximate: "string" },
  "aten::clamp.out": { self: "tensor", min: "scalar?", max: "scalar?" },
  "aten::_softmax.out": { self: "tensor", dim: "int", half_to_float: "bool" },
  "aten::mean.out": typedReduction,
  "aten::sum.IntList_out": typedReduction,
  "aten::amax.out": reduction,
  "aten::amin.out": reduction,
  "aten::prod.int_out": { self: "tensor", dim: "int", keepdim: "bool", dtype: "none" },
  "aten::argmax.out": { self: "tensor", dim: "int", keepdim: "bool" },
  "aten::argmin.out": { self: "tensor", dim: "int", keepdim: "bool" },
  "aten::cumsum.out": { self: "tensor", dim: "int", dtype: "none" },
  /** Writes to its caches, too. */
  "llama::sdpa_with_kv_cache.out": {
    query: "tensor",
    key: "tensor",
    value: "tensor",
    key_cache: "tensor",
    value_cache: "tensor",
    start_pos: "int",
    seq_len: "int",
    attn_mask: "none",
    dropout_p: "scalar",
    is_causal: "bool",
    scale: "scalar?",
  },
} as const satisfies Readonly<Record<string, Schema>>;

/** Operators with several out tensors: a call ends with these and a list of them. */
export const manyTensorOps = {
  "aten::topk.values": { self: "tensor", k: "int", dim: "int", largest: "bool", sorted: "bool" },
} as const satisfies Readonly<Record<string, Schema>>;

/** Operators that change their first argument; the result at the end of the call is that argument again. */
export const inPlaceOps = {
  "aten::index_put_": { self: "tensor", indices: "tensors?", values: "tensor", accumulate: "bool" },
} as const satisfies Readonly<Record<string, Schema>>;

const ofInts = { a: "int", b: "int" } as const;

/** Operators whose result is an integer of the program and no tensor. */
export const intOps = {
  "aten::sym_size.int": { self: "tensor", dim: "int" },
  "aten::_local_scalar_dense": { self: "tensor" },
  "executorch_prim::add.Scalar": ofInts,
  "executorch_prim::sub.Scalar": ofInts,
  "executorch_prim::mul.Scalar": ofInts,
  "executorch_prim::floordiv.Scalar": ofInts,
  "executorch_prim::sym_max.Scalar": ofInts,
  "executorch_prim::sym_min.Scalar": ofInts,
} as const satisfies Readonly<Record<string, Schema>>;

export type TensorOp = keyof typeof tensorOps;
export type ManyTensorOp = keyof typeof manyTensorOps;
export type InPlaceOp = keyof typeof inPlaceOps;
export type IntOp = keyof typeof intOps;
export type AtenOp = TensorOp | ManyTensorOp | InPlaceOp | IntOp;

export const schemas: { readonly [O in AtenOp]: Schema } = {
  ...tensorOps,
  ...manyTensorOps,
  ...inPlaceOps,
  ...intOps,
};
