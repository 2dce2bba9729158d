import type { Node } from "../../../ir/graph.ts";
import { f32 } from "../../../ir/type.ts";
import type { WeightRef } from "../../../ir/weights.ts";
import { type Dim, productOf, sameDim } from "../../../tensor/dim.ts";
import { longestExactSum, reciprocalWeight } from "../../exact-sums.ts";
import { firstOf } from "../../refusal.ts";
import { type Decomposition, needsF32, one } from "../decomposition.ts";
import type { Emitter } from "../emitter.ts";
import type { PortableTensor } from "../value.ts";
import { refuseF64, rounded, wide } from "./widening.ts";

/*
 * Weights stay [N, K], as models hold them: a product is weight · xᵀ = yᵀ, whose inner loop over K then reads a row of
 * the weight in order. Weights that are not f32 are widened just before, in pieces, into memory that all linears share.
 */

/** Elements of a weight that are widened to f32 at a time: 128 MiB. */
const widenedElements = 2 ** 25;
/** Pieces of a weight begin where 16 divides their offset, whatever their row. */
const rowStep = 16;

/** x [..., K] as [M, K]. Projections of one input share it. */
function asMatrix(e: Emitter, x: PortableTensor): PortableTensor {
  return e.once(`matrix ${x.id}`, () => e.view(x, [productOf(x.shape.slice(0, -1)), x.shape.at(-1)!]));
}

/** weight [N, K] · right [K, M] → f32 [N, M]. */
function multiply(e: Emitter, weight: PortableTensor, right: PortableTensor): PortableTensor {
  const [rows, depth] = weight.shape as readonly [number, number];
  const columns = right.shape[1]!;
  const mm = (part: PortableTensor, count: number) =>
    e.op("aten::mm.out", { self: e.cast(part, "f32"), mat2: right }, f32([count, columns]));
  const step = Math.max(rowStep, Math.floor(widenedElements / depth / rowStep) * rowStep);
  if (weight.dtype === "f32" || rows <= step || weight.storage.kind !== "constant") return mm(weight, rows);
  const parts: PortableTensor[] = [];
  for (let from = 0; from < rows; from += step) {
    const to = Math.min(rows, from + step);
    parts.push(mm(e.rows(weight, from, to), to - from));
  }
  return e.op("aten::cat.out", { tensors: parts, dim: 0 }, f32([rows, columns]));
}

/** x [M, K] quantised: codes transposed [K, M], and s [M, 1]; shared too. */
function quantized(e: Emitter, x: PortableTensor): { codes: PortableTensor; scales: PortableTensor } {
  return e.once(`quantized ${x.id}`, () => {
    const { codes, scales } = quantize(e, x);
    return { codes: e.permute(codes, [1, 0]), scales };
  });
}

/** s = 127 / max(max|x|, 1e-5), codes = round(x · s): |x · s| is at most 127 and a rounding error, nothing to clamp. */
function quantize(e: Emitter, x: PortableTensor): { codes: PortableTensor; scales: PortableTensor } {
  const row = f32([...x.shape.slice(0, -1), 1]);
  const magnitudes = e.op("aten::abs.out", { self: x }, f32(x.shape));
  const largest = e.op("aten::amax.out", { self: magnitudes, dim: [-1], keepdim: true }, row);
  const clamped = e.op("aten::clamp.out", { self: largest, min: { double: 1e-5 }, max: undefined }, row);
  const scales = e.op("aten::div.out", { self: e.number("f32", 127), other: clamped }, row);
  const scaled = e.op("aten::mul.out", { self: x, other: scales }, f32(x.shape));
  return { codes: e.op("aten::round.out", { self: scaled }, f32(x.shape)), scales };
}

const constantOf = (node: Node, name: string): WeightRef | undefined => {
  const { def } = node.arg(name);
  return def.kind === "const" ? def.data : undefined;
};

/** yᵀ [N, M] as the node's result [..., N], with its bias. */
function finish(e: Emitter, node: Node, y: PortableTensor): PortableTensor {
  const bias = node.optional("bias");
  const sum = bias === undefined ? y : add(e, y, wide(e, e.tensor(bias)));
  return e.view(sum, node.results[0]!.type.shape);
}

const add = (e: Emitter, x: PortableTensor, y: PortableTensor): PortableTensor =>
  e.op("aten::add.out", { self: x, other: y, alpha: 1 }, f32(x.shape));

function bitnetLinear(e: Emitter, node: Node): PortableTensor {
  const x = asMatrix(e, e.tensor(node.arg("x")));
  const weight = e.tensor(node.arg("weight"));
  const isQuantized = node.attrs.activations === "int8-per-token";
  const group = node.attrs.group as number;
  const input = isQuantized ? quantized(e, x) : { codes: e.permute(x, [1, 0]), scales: undefined };
  const shape = [x.shape[0]!, weight.shape[0]!];
  if (group > 0) {
    const sums = groupSums(e, weight, input.codes, e.tensor(node.arg("scale")), group);
    const y = e.permute(sums, [1, 0]);
    if (input.scales === undefined) return finish(e, node, y);
    return finish(e, node, e.op("aten::div.out", { self: y, other: input.scales }, f32(shape)));
  }
  const sums = e.permute(multiply(e, weight, input.codes), [1, 0]);
  if (input.scales === undefined) {
    const scaled = e.op("aten::mul.out", { self: sums, other: e.tensor(node.arg("scale")) }, f32(shape));
    return finish(e, node, scaled);
  }
  // As BitLinear in transformers rounds it: over the f32 product of s and the stored 1/w.
  const inverse = e.constant(reciprocalWeight(constantOf(node, "scale")!));
  const divisors = e.op(
    "aten::mul.out",
    { self: input.scales, other: inverse },
    f32([x.shape[0]!, inverse.shape[0]!]),
  );
  return finish(e, node, e.op("aten::div.out", { self: sums, other: divisors }, f32(shape)));
}

/** Σ over groups of scale · (the group's sum): [N, M]. */
function groupSums(
  e: Emitter,
  weight: PortableTensor,
  right: PortableTensor,
  scale: PortableTensor,
  group: number,
): PortableTensor {
  const [rows, depth] = weight.shape as readonly [number, number];
  const groups = depth / group;
  const columns = right.shape[1]!;
  const pieces = e.permute(e.view(weight, [rows, groups, group]), [1, 0, 2]);
  const sums = e.op(
    "aten::bmm.out",
    { self: e.cast(pieces, "f32"), mat2: e.view(right, [groups, group, columns]) },
    f32([groups, rows, columns]),
  );
  const scales = e.view(e.permute(scale, [1, 0]), [groups, rows, 1]);
  const scaled = e.op("aten::mul.out", { self: sums, other: scales }, f32(sums.shape));
  const args = { self: scaled, dim: [0], keepdim: false, dtype: undefined };
  return e.op("aten::sum.IntList_out", args, f32([rows, columns]));
}

function refuseBitnetLinear(node: Node): string | undefined {
  const { dtype, shape } = node.arg("weight").type;
  const depth = shape[1] as number;
  const group = node.attrs.group as number;
  if (dtype !== "i8") return `the codes must be i8, and are ${dtype}`;
  if (constantOf(node, "weight") === undefined || constantOf(node, "scale") === undefined)
    return "the weight and its scale must be constants";
  if (depth > longestExactSum) return `sums of ${depth} products are not exact in f32`;
  if (group > 0 && depth % group !== 0) return `groups of ${group} do not divide a row of ${depth} weights`;
  return undefined;
}

function linear(e: Emitter, node: Node): PortableTensor {
  const x = asMatrix(e, wide(e, e.tensor(node.arg("x"))));
  const weight = e.tensor(node.arg("weight"));
  const y = e.permute(multiply(e, weight, e.permute(x, [1, 0])), [1, 0]);
  const scale = node.optional("scale");
  if (scale === undefined) return finish(e, node, y);
  return finish(e, node, e.op("aten::mul.out", { self: y, other: e.tensor(scale) }, f32(y.shape)));
}

function embedding(e: Emitter, node: Node): PortableTensor {
  const table = e.tensor(node.arg("table"));
  const ids = e.tensor(node.arg("ids"));
  const shape = [...ids.shape, table.shape[1]!];
  const rows = e.op(
    "aten::embedding.out",
    { weight: table, indices: ids, padding_idx: -1, scale_grad_by_freq: false, sparse: false },
    { dtype: table.dtype, shape },
  );
  const values = e.cast(rows, "f32");
  const scale = node.optional("scale");
  if (scale === undefined) return values;
  const count = productOf(ids.shape);
  const args = { self: e.tensor(scale), dim: 0, index: e.view(ids, [count]) };
  const scales = e.view(e.op("aten::index_select.out", args, f32([count])), [...ids.shape, 1]);
  return e.op("aten::mul.out", { self: values, other: scales }, f32(shape));
}

/** A vector is a row as a and a column as b. */
function asMatrices(e: Emitter, node: Node, name: "a" | "b"): PortableTensor {
  const x = wide(e, e.tensor(node.arg(name)));
  if (x.shape.length > 1) return x;
  const [depth] = x.shape as readonly [Dim];
  return e.view(x, name === "a" ? [1, depth] : [depth, 1]);
}

/** Batch axes are made equal, and one. */
function matmul(e: Emitter, node: Node): PortableTensor {
  const { shape } = node.results[0]!.type;
  const factors = (["a", "b"] as const).map((name) => asMatrices(e, node, name));
  const sizes = [factors[0]!.shape.at(-2)!, factors[1]!.shape.at(-1)!];
  const matrixAxes = (["a", "b"] as const).filter((name) => node.arg(name).type.shape.length > 1).length;
  const batch = shape.slice(0, shape.length - matrixAxes);
  const count = productOf(batch);
  const [self, mat2] = factors.map((x) => {
    const whole = [...batch, ...x.shape.slice(-2)];
    const size = whole.map((dim) => e.size(dim));
    const isWhole = x.shape.length === whole.length && x.shape.every((dim, i) => sameDim(dim, whole[i]!));
    const all = isWhole
      ? x
      : e.op("aten::expand_copy.out", { self: x, size, implicit: false }, { dtype: x.dtype, shape: whole });
    return e.view(all, [count, ...x.shape.slice(-2)]);
  });
  const type = { dtype: self!.dtype, shape: [count, ...sizes] };
  return e.view(e.op("aten::bmm.out", { self: self!, mat2: mat2! }, type), shape);
}

/** Products with weights, and of activations. */
export const products = {
  "bitnet.quantize": {
    refuse: needsF32("x"),
    emit(e, node) {
      const { codes, scales } = quantize(e, e.tensor(node.arg("x")));
      return [codes, scales];
    },
  },
  "bitnet.linear": one(bitnetLinear, firstOf(needsF32("x", "bias"), refuseBitnetLinear)),
  "nn.linear": rounded(linear, refuseF64("x", "bias")),
  "nn.embedding": one(embedding),
  matmul: rounded(matmul),
} satisfies Record<string, Decomposition>;
