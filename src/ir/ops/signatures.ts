import type { DType } from "../../tensor/dtype.ts";
import type { NoAttrs, OpSignature } from "./op.ts";

/** Element by element over one tensor; the result has its shape. */
export type UnaryOp =
  | "neg"
  | "abs"
  | "sign"
  | "exp"
  | "log"
  | "sqrt"
  | "rsqrt"
  | "reciprocal"
  | "floor"
  | "ceil"
  | "round"
  | "sin"
  | "cos"
  | "tan"
  | "asin"
  | "acos"
  | "atan"
  | "sinh"
  | "cosh"
  | "tanh"
  | "asinh"
  | "acosh"
  | "atanh"
  | "erf"
  | "sigmoid"
  | "relu"
  | "not"
  | "bitwise_not"
  | "is_nan";

/** Element by element over two tensors of one dtype, broadcast as NumPy does. */
export type ArithmeticOp =
  | "add"
  | "sub"
  | "mul"
  | "div"
  | "mod"
  | "fmod"
  | "pow"
  | "maximum"
  | "minimum"
  | "and"
  | "or"
  | "xor"
  | "bitwise_and"
  | "bitwise_or"
  | "bitwise_xor"
  | "shift_left"
  | "shift_right";
export type ComparisonOp = "equal" | "less" | "less_equal" | "greater" | "greater_equal";

export type ElementwiseOps = { readonly [N in UnaryOp]: OpSignature<"x", NoAttrs> } & {
  readonly [N in ArithmeticOp | ComparisonOp]: OpSignature<"a" | "b", NoAttrs>;
} & {
  readonly where: OpSignature<"condition" | "a" | "b", NoAttrs>;
  readonly cast: OpSignature<"x", { readonly to: DType }>;
  readonly is_inf: OpSignature<"x", { readonly negative: boolean; readonly positive: boolean }>;
};

interface ReduceAttrs {
  readonly axes: readonly number[];
  readonly keepdims: boolean;
}
export type ReduceOp = "reduce_sum" | "reduce_mean" | "reduce_max" | "reduce_min" | "reduce_prod";

export type ReductionOps = { readonly [N in ReduceOp]: OpSignature<"x", ReduceAttrs> } & {
  readonly [N in "argmax" | "argmin"]: OpSignature<
    "x",
    { readonly axis: number; readonly keepdims: boolean; readonly last: boolean }
  >;
} & {
  readonly cumsum: OpSignature<
    "x",
    { readonly axis: number; readonly exclusive: boolean; readonly reverse: boolean }
  >;
  /** Results: values, indices (i64). `k` is a one-element i64 tensor whose contents are known. */
  readonly topk: OpSignature<"x" | "k", { readonly axis: number; readonly largest: boolean }>;
};

type Reduction = "none" | "add" | "mul" | "min" | "max";

export interface MovementOps {
  readonly reshape: OpSignature<"x" | "shape", NoAttrs>;
  readonly expand: OpSignature<"x" | "shape", NoAttrs>;
  readonly transpose: OpSignature<"x", { readonly perm: readonly number[] }>;
  readonly concat: OpSignature<"inputs*", { readonly axis: number }>;
  /** NumPy slicing of `axes`; `starts` and `ends` are i64 vectors, negative ones count from the end. */
  readonly slice: OpSignature<
    "x" | "starts" | "ends",
    { readonly axes: readonly number[]; readonly steps: readonly number[] }
  >;
  /** `pads` is i64 [2·rank]: before each axis, then after each axis. Negative ones crop. */
  readonly pad: OpSignature<
    "x" | "pads" | "value?",
    { readonly mode: "constant" | "reflect" | "edge" | "wrap" }
  >;
  readonly tile: OpSignature<"x" | "repeats", NoAttrs>;
  readonly range: OpSignature<"start" | "limit" | "delta", NoAttrs>;
  /** Keeps the upper or lower triangle of the last two axes, from diagonal `k` (scalar i64, 0 when left out). */
  readonly triangle: OpSignature<"x" | "k?", { readonly upper: boolean }>;
}

export interface IndexingOps {
  readonly gather: OpSignature<"x" | "indices", { readonly axis: number }>;
  readonly gather_elements: OpSignature<"x" | "indices", { readonly axis: number }>;
  readonly gather_nd: OpSignature<"x" | "indices", { readonly batch_dims: number }>;
  readonly scatter_elements: OpSignature<
    "x" | "indices" | "updates",
    { readonly axis: number; readonly reduction: Reduction }
  >;
  readonly scatter_nd: OpSignature<"x" | "indices" | "updates", { readonly reduction: Reduction }>;
  /** i64 [rank, size]; `size` names the number of nonzero elements, a symbol of its own. */
  readonly nonzero: OpSignature<"x", { readonly size: string }>;
}

export interface NeuralOps {
  /** NumPy's matmul: batch axes broadcast, 1-D arguments are a row or a column. */
  readonly matmul: OpSignature<"a" | "b", NoAttrs>;
  readonly softmax: OpSignature<"x", { readonly axis: number }>;
  readonly "nn.linear": OpSignature<"x" | "weight" | "bias?" | "scale?", NoAttrs>;
  readonly "nn.embedding": OpSignature<"table" | "ids" | "scale?", NoAttrs>;
  readonly "nn.rms_norm": OpSignature<"x" | "scale", { readonly eps: number }>;
  readonly "nn.layer_norm": OpSignature<"x" | "scale" | "bias?", { readonly eps: number }>;
  readonly "nn.relu2": OpSignature<"x", NoAttrs>;
  readonly "nn.silu": OpSignature<"x", NoAttrs>;
  readonly "nn.gelu": OpSignature<"x", { readonly approximate: "none" | "tanh" }>;
  readonly "nn.rope": OpSignature<"x" | "cos" | "sin" | "start_pos?", { readonly interleaved: boolean }>;
  readonly "nn.sdpa": OpSignature<
    "q" | "k" | "v" | "mask?" | "start_pos?",
    {
      readonly scale: number;
      readonly causal: boolean;
      /** 0: none. */
      readonly softcap: number;
      /** Keys that a query sees, itself included; 0: all. */
      readonly window: number;
    }
  >;
}

/** `int8-per-token`: quantise x to int8 with one absmax scale a row; `float`: multiply x as it is. */
export type Activations = "int8-per-token" | "float";

export interface BitnetOps {
  readonly "bitnet.quantize": OpSignature<"x", NoAttrs>;
  readonly "bitnet.linear": OpSignature<
    "x" | "weight" | "scale" | "bias?",
    { readonly activations: Activations; readonly group: number }
  >;
  readonly "kv.update": OpSignature<"cache" | "new" | "start_pos", NoAttrs>;
}

/** The ops of the core; closed, so that every table over it is exhaustive. */
export type CoreOps = ElementwiseOps & ReductionOps & MovementOps & IndexingOps & NeuralOps & BitnetOps;
