import { describe, expect, test } from "vitest";
import { operators } from "../../src/runtime/cpu/portable/operators/index.ts";
import { open } from "../../src/runtime/index.ts";
import { openPortable } from "../../src/runtime/portable.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { PortableProgram } from "./portable-program.ts";

const f32 = (shape: readonly number[], ...data: number[]): Tensor => tensor("f32", shape, data);
const i64 = (shape: readonly number[], ...data: number[]): Tensor => tensor("i64", shape, data);
const bool = (shape: readonly number[], ...data: number[]): Tensor => tensor("bool", shape, data);
const vector = (...data: number[]): Tensor => f32([data.length], ...data);
const truths = (...data: number[]): Tensor => bool([data.length], ...data);

/** Arguments of a call but for its result. Numbers are ints, `{ double }` are not. */
type Arg =
  | Tensor
  | number
  | boolean
  | string
  | null
  | readonly number[]
  | { readonly double: number }
  | { readonly tensors: readonly Tensor[] }
  | { readonly indices: readonly (Tensor | null)[] };

interface Case {
  readonly args: readonly Arg[];
  readonly expected: Tensor;
}

function addArg(program: PortableProgram, arg: Arg): number {
  if (arg === null) return program.none();
  if (typeof arg === "number") return program.int(arg);
  if (typeof arg === "boolean") return program.bool(arg);
  if (typeof arg === "string") return program.text(arg);
  if (Array.isArray(arg)) return program.ints(...arg);
  if ("double" in arg) return program.double(arg.double);
  if ("tensors" in arg) return program.list("TensorList", ...arg.tensors.map(program.constant));
  if ("indices" in arg) {
    const items = arg.indices.map((each) => (each === null ? -1 : program.constant(each)));
    return program.list("OptionalTensorList", ...items);
  }
  return program.constant(arg as Tensor);
}

const half = { double: 0.5 };
const pair = f32([2, 3], 1, -2, 3, 4, 5, -6);
const unary = (x: Tensor, ...data: number[]): Case[] => [
  { args: [x], expected: { ...x, data: tensor(x.dtype, x.shape, data).data } },
];
const close = (x: readonly number[], compute: (x: number) => number): Case[] => [
  { args: [vector(...x)], expected: vector(...x.map(compute)) },
];
const comparison = (...expected: [number, number, number]): Record<"tensor" | "scalar", Case[]> => ({
  tensor: [
    { args: [vector(1, 2, 3), vector(2, 2, 2)], expected: truths(...expected) },
    { args: [i64([3, 1], 1, 2, 3), i64([], 2)], expected: bool([3, 1], ...expected) },
  ],
  scalar: [{ args: [i64([3], 1, 2, 3), 2], expected: truths(...expected) }],
});
const [eq, ne, lt, le, gt, ge] = [
  comparison(0, 1, 0),
  comparison(1, 0, 1),
  comparison(1, 0, 0),
  comparison(1, 1, 0),
  comparison(0, 0, 1),
  comparison(0, 1, 1),
] as const;
const angles = [-0.75, 0, 0.5];
const table = f32([3, 2], 1, 2, 3, 4, 5, 6);

/** Out-variants by name, with values that were computed by hand or by the functions of JavaScript. */
const cases: Readonly<Record<string, readonly Case[]>> = {
  "aten::add.out": [
    { args: [vector(1, 2), vector(3, 5), 1], expected: vector(4, 7) },
    { args: [f32([2, 1], 1, 2), vector(10, 20), half], expected: f32([2, 2], 6, 11, 7, 12) },
    { args: [i64([2], 1, 2), i64([1], 5), 2], expected: i64([2], 11, 12) },
  ],
  "aten::gather.out": [
    { args: [table, 1, i64([3, 1], 1, 0, 1), false], expected: f32([3, 1], 2, 3, 6) },
    { args: [table, -2, i64([1, 2], 2, 0), false], expected: f32([1, 2], 5, 2) },
  ],
  "aten::scatter.src_out": [
    { args: [table, 0, i64([2, 1], 2, 2), f32([2, 1], 7, 8)], expected: f32([3, 2], 1, 2, 3, 4, 8, 6) },
  ],
  "aten::scatter_add.out": [
    { args: [table, -1, i64([1, 2], 1, 1), f32([1, 2], 7, 8)], expected: f32([3, 2], 1, 17, 3, 4, 5, 6) },
  ],
  "aten::nonzero.out": [{ args: [f32([2, 2], 0, 3, -1, 0)], expected: i64([2, 2], 0, 1, 1, 0) }],
  "aten::constant_pad_nd.out": [
    { args: [vector(1, 2), [1, 2], half], expected: vector(0.5, 1, 2, 0.5, 0.5) },
    { args: [table, [1, 0], 0], expected: f32([3, 3], 0, 1, 2, 0, 3, 4, 0, 5, 6) },
    { args: [truths(1, 0), [0, 1], 1], expected: truths(1, 0, 1) },
  ],
  "aten::flip.out": [
    { args: [table, [0]], expected: f32([3, 2], 5, 6, 3, 4, 1, 2) },
    { args: [table, [-1, 0]], expected: f32([3, 2], 6, 5, 4, 3, 2, 1) },
  ],
  "aten::tril.out": [
    { args: [table, 0], expected: f32([3, 2], 1, 0, 3, 4, 5, 6) },
    { args: [table, -2], expected: f32([3, 2], 0, 0, 0, 0, 5, 0) },
  ],
  "aten::add.Scalar_out": [{ args: [vector(1, 2), half, 1], expected: vector(1.5, 2.5) }],
  "aten::sub.out": [{ args: [vector(1, 2), vector(3, 5), 2], expected: vector(-5, -8) }],
  "aten::sub.Scalar_out": [{ args: [i64([2], 7, 8), 3, 2], expected: i64([2], 1, 2) }],
  "aten::mul.out": [{ args: [pair, vector(2, 0, 1)], expected: f32([2, 3], 2, -0, 3, 8, 0, -6) }],
  "aten::mul.Scalar_out": [{ args: [vector(1, 2), half], expected: vector(0.5, 1) }],
  "aten::div.out": [{ args: [vector(1, 6), vector(4, -3)], expected: vector(0.25, -2) }],
  "aten::div.Scalar_out": [{ args: [vector(1, 6), 4], expected: vector(0.25, 1.5) }],
  "aten::maximum.out": [{ args: [vector(1, 6), vector(4, -3)], expected: vector(4, 6) }],
  "aten::minimum.out": [{ args: [vector(1, 6), vector(4, -3)], expected: vector(1, -3) }],
  "aten::pow.Tensor_Tensor_out": [{ args: [vector(2, 9), vector(3, 0.5)], expected: vector(8, 3) }],
  "aten::pow.Tensor_Scalar_out": [{ args: [vector(2, 3), 2], expected: vector(4, 9) }],
  "aten::abs.out": unary(vector(-1, 2), 1, 2),
  "aten::neg.out": unary(i64([2], -1, 2), 1, -2),
  "aten::floor.out": unary(vector(-1.5, 2.5), -2, 2),
  "aten::ceil.out": unary(vector(-1.5, 2.5), -1, 3),
  "aten::round.out": unary(vector(-1.5, 2.5, 0.4), -2, 2, 0),
  "aten::sign.out": unary(vector(-1.5, 2.5, 0), -1, 1, 0),
  "aten::relu.out": unary(vector(-1.5, 2.5), 0, 2.5),
  "aten::exp.out": close([-1, 0, 2], Math.exp),
  "aten::log.out": close([0.5, 1, 2], Math.log),
  "aten::sqrt.out": close([4, 2], Math.sqrt),
  "aten::rsqrt.out": close([4, 2], (x) => 1 / Math.sqrt(x)),
  "aten::reciprocal.out": close([4, -2], (x) => 1 / x),
  "aten::erf.out": [{ args: [vector(0, 0.5)], expected: vector(0, 0.5204998778130465) }],
  "aten::sigmoid.out": close([0, 2, -3], (x) => 1 / (1 + Math.exp(-x))),
  "aten::sin.out": close(angles, Math.sin),
  "aten::cos.out": close(angles, Math.cos),
  "aten::tan.out": close(angles, Math.tan),
  "aten::asin.out": close(angles, Math.asin),
  "aten::acos.out": close(angles, Math.acos),
  "aten::atan.out": close(angles, Math.atan),
  "aten::sinh.out": close(angles, Math.sinh),
  "aten::cosh.out": close(angles, Math.cosh),
  "aten::tanh.out": close(angles, Math.tanh),
  "aten::asinh.out": close(angles, Math.asinh),
  "aten::acosh.out": close([1, 2], Math.acosh),
  "aten::atanh.out": close(angles, Math.atanh),
  "aten::isnan.out": [{ args: [vector(1, Number.NaN)], expected: truths(0, 1) }],
  "aten::eq.Tensor_out": eq.tensor,
  "aten::eq.Scalar_out": eq.scalar,
  "aten::ne.Tensor_out": ne.tensor,
  "aten::ne.Scalar_out": ne.scalar,
  "aten::lt.Tensor_out": lt.tensor,
  "aten::lt.Scalar_out": lt.scalar,
  "aten::le.Tensor_out": le.tensor,
  "aten::le.Scalar_out": le.scalar,
  "aten::gt.Tensor_out": gt.tensor,
  "aten::gt.Scalar_out": gt.scalar,
  "aten::ge.Tensor_out": ge.tensor,
  "aten::ge.Scalar_out": ge.scalar,
  "aten::logical_and.out": [{ args: [vector(0, 2, 2), truths(1, 0, 1)], expected: truths(0, 0, 1) }],
  "aten::logical_or.out": [{ args: [truths(0, 0, 1), truths(1, 0, 1)], expected: truths(1, 0, 1) }],
  "aten::logical_xor.out": [{ args: [truths(0, 0, 1), truths(1, 0, 1)], expected: truths(1, 0, 0) }],
  "aten::logical_not.out": [{ args: [i64([2], 0, 5)], expected: truths(1, 0) }],
  "aten::where.self_out": [
    { args: [bool([2, 1], 1, 0), vector(1, 2), f32([], 9)], expected: f32([2, 2], 1, 2, 9, 9) },
  ],
  "aten::masked_fill.Scalar_out": [
    {
      args: [vector(1, 2), truths(0, 1), { double: Number.NEGATIVE_INFINITY }],
      expected: vector(1, -Infinity),
    },
  ],
  "aten::clamp.out": [
    { args: [vector(-3, 0.5, 3), -1, half], expected: vector(-1, 0.5, 0.5) },
    { args: [vector(-3, 0.5, 3), { double: 1e-5 }, null], expected: vector(1e-5, 0.5, 3) },
  ],
  "aten::clamp.Tensor_out": [{ args: [vector(-3, 3), null, vector(1, 2)], expected: vector(-3, 2) }],
  "aten::gelu.out": [
    { args: [vector(1, -2), "none"], expected: vector(0.8413447461, -0.0455002639) },
    { args: [vector(1, -2), "tanh"], expected: vector(0.8411919906, -0.0454023059) },
  ],
  "aten::full_like.out": [{ args: [vector(1, 2), half, null], expected: vector(0.5, 0.5) }],
  "aten::amax.out": [
    { args: [pair, [-1], true], expected: f32([2, 1], 3, 5) },
    { args: [pair, [], false], expected: f32([], 5) },
  ],
  "aten::amin.out": [{ args: [pair, [0], false], expected: vector(1, -2, -6) }],
  "aten::mean.out": [
    { args: [pair, [1], true, null], expected: f32([2, 1], 2 / 3, 1) },
    { args: [pair, null, false, null], expected: f32([], 5 / 6) },
  ],
  "aten::sum.IntList_out": [
    { args: [pair, [0, 1], false, null], expected: f32([], 5) },
    { args: [truths(1, 0, 1), [0], true, null], expected: i64([1], 2) },
  ],
  "aten::argmax.out": [
    { args: [pair, 1, false], expected: i64([2], 2, 1) },
    { args: [pair, null, false], expected: i64([], 4) },
  ],
  "aten::cumsum.out": [{ args: [pair, -1, null], expected: f32([2, 3], 1, -1, 2, 4, 9, 3) }],
  "aten::_softmax.out": [
    { args: [vector(0, Math.log(3)), 0, false], expected: vector(0.25, 0.75) },
    { args: [vector(0, -Infinity), -1, false], expected: vector(1, 0) },
  ],
  "aten::view_copy.out": [{ args: [pair, [3, -1]], expected: f32([3, 2], 1, -2, 3, 4, 5, -6) }],
  "aten::permute_copy.out": [{ args: [pair, [1, 0]], expected: f32([3, 2], 1, 4, -2, 5, 3, -6) }],
  "aten::transpose_copy.int_out": [{ args: [pair, 0, -1], expected: f32([3, 2], 1, 4, -2, 5, 3, -6) }],
  "aten::t_copy.out": [{ args: [pair], expected: f32([3, 2], 1, 4, -2, 5, 3, -6) }],
  "aten::unsqueeze_copy.out": [{ args: [pair, -1], expected: { ...pair, shape: [2, 3, 1] } }],
  "aten::squeeze_copy.dim_out": [{ args: [f32([1, 2, 1], 1, 2), 0], expected: f32([2, 1], 1, 2) }],
  "aten::squeeze_copy.dims_out": [{ args: [f32([1, 2, 1], 1, 2), [0, 1, 2]], expected: vector(1, 2) }],
  "aten::expand_copy.out": [
    { args: [f32([2, 1], 1, 2), [2, -1, 2], false], expected: f32([2, 2, 2], 1, 1, 2, 2, 1, 1, 2, 2) },
  ],
  "aten::slice_copy.Tensor_out": [
    { args: [pair, 1, 1, 2 ** 53, 1], expected: f32([2, 2], -2, 3, 5, -6) },
    { args: [vector(1, 2, 3, 4), 0, null, -1, 2], expected: vector(1, 3) },
  ],
  "aten::select_copy.int_out": [{ args: [pair, 0, -1], expected: vector(4, 5, -6) }],
  "aten::cat.out": [
    { args: [{ tensors: [f32([1, 2], 1, 2), f32([1, 1], 3)] }, -1], expected: f32([1, 3], 1, 2, 3) },
    {
      args: [{ tensors: [f32([0]), f32([1, 2], 1, 2), table] }, 0],
      expected: f32([4, 2], 1, 2, 1, 2, 3, 4, 5, 6),
    },
  ],
  "aten::clone.out": [{ args: [pair, null], expected: pair }],
  "aten::_to_copy.out": [
    { args: [tensor("i8", [3], [-1, 0, 1]), false, null], expected: vector(-1, 0, 1) },
    { args: [vector(-1.5, 2), false, null], expected: i64([2], -1, 2) },
    { args: [tensor("f16", [1], [0.1]), false, null], expected: vector(0.0999755859375) },
    { args: [vector(1 / 3), false, null], expected: tensor("bf16", [1], [1 / 3]) },
  ],
  "dim_order_ops::_to_dim_order_copy.out": [{ args: [i64([2], 1, 2), false, [0]], expected: vector(1, 2) }],
  "dim_order_ops::_clone_dim_order.out": [{ args: [pair, false, null], expected: pair }],
  "aten::arange.out": [{ args: [{ double: 2.5 }], expected: vector(0, 1, 2) }],
  "aten::arange.start_out": [{ args: [5, 0, -2], expected: i64([3], 5, 3, 1) }],
  "aten::full.out": [{ args: [[2, 1], 7], expected: i64([2, 1], 7, 7) }],
  "aten::scalar_tensor.out": [{ args: [half], expected: f32([], 0.5) }],
  "aten::repeat.out": [{ args: [vector(1, 2), [2, 2]], expected: f32([2, 4], 1, 2, 1, 2, 1, 2, 1, 2) }],
  "aten::mm.out": [{ args: [pair, table], expected: f32([2, 2], 10, 12, -11, -8) }],
  "aten::bmm.out": [
    {
      args: [f32([2, 1, 2], 1, 2, 3, 4), f32([2, 2, 1], 5, 6, 7, 8)],
      expected: f32([2, 1, 1], 17, 53),
    },
  ],
  "aten::addmm.out": [{ args: [vector(1, 2), pair, table, 2, half], expected: f32([2, 2], 7, 10, -3.5, 0) }],
  "aten::embedding.out": [
    { args: [table, i64([1, 2], 2, 0), -1, false, false], expected: f32([1, 2, 2], 5, 6, 1, 2) },
  ],
  "aten::index_select.out": [{ args: [pair, 1, i64([2], 2, 0)], expected: f32([2, 2], 3, 1, -6, 4) }],
  "aten::index.Tensor_out": [
    { args: [table, { indices: [i64([2], -1, 0)] }], expected: f32([2, 2], 5, 6, 1, 2) },
    { args: [table, { indices: [null, i64([1], 1)] }], expected: f32([3, 1], 2, 4, 6) },
    { args: [table, { indices: [i64([2, 1], 0, 2), i64([2], 0, 1)] }], expected: f32([2, 2], 1, 2, 5, 6) },
    {
      args: [f32([2, 1, 2], 1, 2, 3, 4), { indices: [i64([1], 1), null, i64([2], 0, 1)] }],
      expected: f32([2, 1], 3, 4),
    },
  ],
  "aten::index_put.out": [
    {
      args: [table, { indices: [i64([2], 2, 0)] }, f32([2, 1], 8, 9), false],
      expected: f32([3, 2], 9, 9, 3, 4, 8, 8),
    },
    {
      args: [table, { indices: [null, i64([2], 1, 1)] }, f32([], 1), true],
      expected: f32([3, 2], 1, 4, 3, 6, 5, 8),
    },
  ],
  "aten::div.out_mode": [
    { args: [i64([3], 7, -7, -6), i64([1], 2), "trunc"], expected: i64([3], 3, -3, -3) },
    { args: [i64([3], 7, -7, -6), i64([1], 2), "floor"], expected: i64([3], 3, -4, -3) },
  ],
  "aten::div.Scalar_mode_out": [
    { args: [i64([2], 300, -7), 2, "trunc"], expected: tensor("i16", [2], [150, -3]) },
  ],
  "aten::remainder.Tensor_out": [
    { args: [i64([2], 7, -7), i64([2], -3, 3)], expected: i64([2], 1, -1) },
    { args: [vector(7, -7, 6), vector(-3, 3, 3)], expected: vector(-2, 2, 0) },
  ],
  "aten::remainder.Scalar_out": [{ args: [i64([2], 7, -7), 3], expected: i64([2], 1, -1) }],
  "aten::fmod.Tensor_out": [{ args: [vector(5.5, -5.5), vector(2, 2)], expected: vector(1.5, -1.5) }],
  "aten::pow.Scalar_out": [{ args: [2, i64([3], 0, 5, 40)], expected: i64([3], 1, 32, 2 ** 40) }],
  "aten::rsub.Scalar_out": [{ args: [i64([2], 1, 4), 10, 2], expected: i64([2], 8, 2) }],
  "aten::bitwise_and.Tensor_out": [{ args: [i64([2], 12, -1), i64([1], 10)], expected: i64([2], 8, 10) }],
  "aten::bitwise_or.Tensor_out": [{ args: [i64([2], 12, -1), i64([1], 10)], expected: i64([2], 14, -1) }],
  "aten::bitwise_xor.Tensor_out": [{ args: [i64([2], 12, -1), i64([1], 10)], expected: i64([2], 6, -11) }],
  "aten::bitwise_not.out": [
    { args: [i64([2], 12, -1)], expected: i64([2], -13, 0) },
    { args: [truths(1, 0)], expected: truths(0, 1) },
  ],
  "aten::isinf.out": [{ args: [vector(1, Infinity, -Infinity, NaN)], expected: truths(0, 1, 1, 0) }],
  "aten::prod.int_out": [
    { args: [pair, 1, true, null], expected: f32([2, 1], -6, -120) },
    { args: [tensor("i8", [2], [100, 2]), 0, false, null], expected: i64([], 200) },
  ],
  "aten::argmin.out": [
    { args: [pair, 1, false], expected: i64([2], 1, 2) },
    { args: [pair, null, false], expected: i64([], 5) },
  ],
  "llama::custom_sdpa.out": [
    {
      args: [
        f32([1, 1, 2, 1], 1, 1),
        f32([1, 3, 1, 1], 0, Math.log(3), 99),
        f32([1, 3, 1, 1], 4, 8, 99),
        1,
        null,
        { double: 0 },
        true,
        { double: 1 },
      ],
      expected: f32([1, 1, 2, 1], 7, 7),
    },
  ],
};

/** Runs a call on constants. */
async function run(
  name: string,
  args: readonly Arg[],
  dtype: DType,
  shape: readonly number[],
): Promise<Tensor> {
  const program = new PortableProgram();
  const given = args.map((arg) => addArg(program, arg));
  const result = program.planned(dtype, shape);
  program.out(name, ...given, result);
  const session = await open(program.build([], [result]), { device: "cpu", portable: openPortable });
  const { output0 } = await session.run({});
  session.dispose();
  return output0!;
}

function expectClose(actual: Tensor, expected: Tensor): void {
  expect(actual.dtype).toBe(expected.dtype);
  expect(actual.shape).toEqual(expected.shape);
  expect(actual.data.length).toBe(expected.data.length);
  actual.data.forEach((value, i) => {
    const wanted = expected.data[i]!;
    if (!Number.isFinite(wanted)) expect(value).toBe(wanted);
    else
      expect(Math.abs(value - wanted), `element ${i} is ${value}`).toBeLessThanOrEqual(
        1e-6 * Math.max(1, Math.abs(wanted)),
      );
  });
}

const notOutVariants = [
  "aten::topk.values",
  "aten::index_put_",
  "aten::sym_size.int",
  "aten::_local_scalar_dense",
  "executorch_prim::add.Scalar",
  "executorch_prim::sub.Scalar",
  "executorch_prim::mul.Scalar",
  "executorch_prim::floordiv.Scalar",
  "executorch_prim::sym_max.Scalar",
  "executorch_prim::sym_min.Scalar",
  "executorch_prim::et_view.default",
  "llama::sdpa_with_kv_cache.out",
  "llama::update_cache.out",
];

test("every operator is tested", () => {
  expect([...Object.keys(cases), ...notOutVariants].sort()).toEqual([...operators.keys()].sort());
});

describe("out-variants", () => {
  test.each(Object.entries(cases))("%s", async (name, list) => {
    for (const { args, expected } of list)
      expectClose(await run(name, args, expected.dtype, expected.shape), expected);
  });
});

describe("a call with several results", () => {
  /** The two best of a row, and where they are. */
  function best(list: (values: number, indices: number) => readonly number[]) {
    const program = new PortableProgram();
    const args = [program.constant(vector(3, 9, 5)), program.int(2), program.int(0)];
    const [values, indices] = [program.planned("f32", [2]), program.planned("i64", [2])];
    const flags = [program.bool(true), program.bool(true)];
    const all = program.list("TensorList", ...list(values, indices));
    program.call("aten::topk.values", ...args, ...flags, values, indices, all);
    return open(program.build([], [values, indices]), { device: "cpu", portable: openPortable });
  }

  test("ends with a list of them", async () => {
    const session = await best((values, indices) => [values, indices]);
    const { output0, output1 } = await session.run({});
    expectClose(output0!, vector(9, 5));
    expectClose(output1!, i64([2], 1, 2));
    session.dispose();
  });

  test("ends with that list alone", async () => {
    const problem = await best((values) => [values]).catch((error) => error);
    expect(problem).toMatchObject({ code: "program-corrupt" });
    expect(problem.message).toContain("a last argument that is not its result");
  });
});

test("flags that kernels refuse are refused as the program is opened", async () => {
  const refused: readonly [string, readonly Arg[], RegExp][] = [
    ["aten::_softmax.out", [vector(1), 0, true], /false expected as argument 2/],
    ["aten::_to_copy.out", [vector(1), true, null], /false expected as argument 1/],
    ["aten::_to_copy.out", [vector(1), false, 1], /dense memory format expected as argument 2/],
    ["aten::expand_copy.out", [vector(1), [1], true], /false expected as argument 2/],
  ];
  for (const [name, args, message] of refused) {
    const problem = await run(name, args, "f32", [1]).catch((error) => error);
    expect(problem).toMatchObject({ code: "program-corrupt" });
    expect(problem.message).toMatch(message);
  }
  expectClose(await run("aten::clone.out", [vector(1), 0], "f32", [1]), vector(1));
});

describe("what an operator cannot take", () => {
  const refusals: readonly [string, readonly Arg[], DType, readonly number[], RegExp][] = [
    ["aten::add.out", [vector(1), i64([1], 1), 1], "f32", [1], /arguments are f32 and i64/],
    ["aten::add.out", [vector(1), vector(1), 1], "i64", [1], /f32 and goes to a tensor of i64/],
    ["aten::add.out", [vector(1, 2), vector(1, 2), 1], "f32", [3], /is \[2\] and goes to a tensor of \[3\]/],
    ["aten::add.out", [i64([1], 1), i64([1], 1), half], "i64", [1], /0.5 is no i64/],
    ["aten::div.out", [i64([1], 4), i64([1], 2)], "i64", [1], /takes floats/],
    ["aten::exp.out", [i64([1], 4)], "i64", [1], /takes floats/],
    ["aten::clamp.out", [vector(1), null, null], "f32", [1], /neither/],
    ["aten::gelu.out", [vector(1), "fast"], "f32", [1], /fast/],
    ["aten::where.self_out", [vector(1), vector(1), vector(1)], "f32", [1], /condition is f32/],
    ["aten::mean.out", [i64([1], 4), [0], false, null], "i64", [], /mean/],
    ["aten::sum.IntList_out", [vector(4), [0], false, null], "i64", [], /holds no such sum/],
    ["aten::amax.out", [pair, [0, -2], false], "f32", [3], /axes 0, -2/],
    ["aten::amin.out", [f32([2, 0]), [0], false], "f32", [0], /no elements/],
    ["aten::div.out_mode", [i64([1], 4), i64([1], 0), "trunc"], "i64", [1], /by 0/],
    ["aten::div.out_mode", [i64([1], 4), i64([1], 3), "up"], "i64", [1], /rounds with "up"/],
    ["aten::div.Scalar_mode_out", [vector(4), 3, "trunc"], "f32", [1], /takes integers/],
    ["aten::remainder.Scalar_out", [i64([1], 4), 0], "i64", [1], /by 0/],
    ["aten::pow.Tensor_Tensor_out", [vector(4), vector(2)], "i64", [1], /holds no such power/],
    ["aten::bitwise_not.out", [vector(4)], "f32", [1], /takes integers/],
    ["aten::isinf.out", [i64([1], 4)], "bool", [1], /takes floats/],
    ["aten::_softmax.out", [vector(1), 1, false], "f32", [1], /no axis 1/],
    ["aten::view_copy.out", [pair, [4, -1]], "f32", [4, 2], /has no shape/],
    ["aten::view_copy.out", [vector(1), [-1, -1]], "f32", [1, 1], /no shape/],
    ["aten::permute_copy.out", [pair, [0, 0]], "f32", [2, 3], /no order/],
    ["aten::t_copy.out", [f32([1, 1, 1], 1)], "f32", [1, 1, 1], /matrices/],
    ["aten::expand_copy.out", [pair, [2, 6], false], "f32", [2, 6], /does not expand/],
    ["aten::slice_copy.Tensor_out", [pair, 0, 0, 1, 0], "f32", [1, 3], /step/],
    ["aten::select_copy.int_out", [pair, 0, 2], "f32", [3], /selects 2 of 2/],
    ["aten::cat.out", [{ tensors: [pair, f32([1, 2], 1, 2)] }, 0], "f32", [3, 3], /do not join/],
    ["aten::cat.out", [{ tensors: [f32([0])] }, 0], "f32", [0], /joins nothing/],
    ["aten::repeat.out", [pair, [2]], "f32", [4, 3], /repeats 1 of 2/],
    ["dim_order_ops::_clone_dim_order.out", [pair, false, [1, 0]], "f32", [2, 3], /order/],
    ["aten::mm.out", [vector(1), pair], "f32", [2], /rank 2/],
    ["aten::mm.out", [pair, pair], "f32", [2, 3], /no product/],
    [
      "aten::bmm.out",
      [f32([2, 1, 1], 1, 2), f32([1, 1, 1], 1)],
      "f32",
      [2, 1, 1],
      /multiplies 2 matrices by 1/,
    ],
    ["aten::embedding.out", [table, i64([1], -1), -1, false, false], "f32", [1, 2], /Index -1/],
    ["aten::embedding.out", [table, vector(1), -1, false, false], "f32", [1, 2], /indices are f32/],
    ["aten::gather.out", [table, 0, i64([1, 2], 0, -1), false], "f32", [1, 2], /Index -1/],
    ["aten::gather.out", [table, 0, i64([1, 3], 0, 1, 1), false], "f32", [1, 3], /indices \[1, 3\]/],
    ["aten::gather.out", [table, 0, tensor("i32", [1, 2], [0, 1]), false], "f32", [1, 2], /indices are i32/],
    [
      "aten::scatter.src_out",
      [table, 0, i64([1, 2], 0, 1), f32([1, 1], 0)],
      "f32",
      [3, 2],
      /puts \[1, 1\] at/,
    ],
    ["aten::scatter_add.out", [table, 0, i64([1, 1], 0), i64([1, 1], 0)], "f32", [3, 2], /f32 and i64/],
    ["aten::constant_pad_nd.out", [vector(1, 2), [1, -1], 0], "f32", [2], /by \[1, -1\]/],
    ["aten::constant_pad_nd.out", [vector(1), [1, 0, 1, 0], 0], "f32", [2], /pads \[1\]/],
    ["aten::flip.out", [pair, [0, -2]], "f32", [2, 3], /axes 0, -2/],
    ["aten::tril.out", [vector(1), 0], "f32", [1], /matrices/],
    ["aten::index_select.out", [table, 0, i64([1], 3)], "f32", [1, 2], /Index 3/],
    ["aten::index.Tensor_out", [table, { indices: [i64([1], 3)] }], "f32", [1, 2], /Index 3/],
    ["aten::index.Tensor_out", [table, { indices: [null] }], "f32", [3, 2], /no indices/],
    [
      "aten::index_put.out",
      [table, { indices: [i64([1], 0)] }, vector(1, 2, 3), false],
      "f32",
      [3, 2],
      /broadcast/,
    ],
  ];
  test.each(refusals)("%s %#", async (name, args, dtype, shape, message) => {
    const problem = await run(name, args, dtype, shape).catch((error) => error);
    expect(problem).toMatchObject({ code: "run-failed" });
    expect(problem.message).toMatch(message);
    expect(problem.message).toContain("instruction 0 of forward");
  });
});
