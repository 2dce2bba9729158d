import { describe, expect, test } from "vitest";
import { operators } from "../../src/runtime/cpu/vulkan/operators/index.ts";
import type { VulkanTensor } from "../../src/serialize/vulkan-graph.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { bool, f32, GraphWriter, i32 } from "./vulkan-graph.ts";

const u8 = (shape: readonly number[], ...data: number[]): Tensor => tensor("u8", shape, data);
const i8 = (shape: readonly number[], ...data: number[]): Tensor => tensor("i8", shape, data);
const vector = (...data: number[]): Tensor => f32([data.length], ...data);

/** Arguments of a call but for its results. Numbers are ints, `{ double }` are not; tensors are in memory. */
type Arg =
  | Tensor
  | number
  | boolean
  | string
  | null
  | readonly number[]
  | { readonly double: number }
  | { readonly constant: Tensor }
  | { readonly tensors: readonly Tensor[] };

interface Case {
  readonly args: readonly Arg[];
  /** Several are results in a list. */
  readonly expected: Tensor | readonly Tensor[];
  readonly tensors?: Partial<VulkanTensor>;
}

function addArg(g: GraphWriter, arg: Arg, more: Partial<VulkanTensor>): number {
  if (arg === null) return g.none();
  if (typeof arg === "number") return g.int(arg);
  if (typeof arg === "boolean") return g.bool(arg);
  if (typeof arg === "string") return g.text(arg);
  if (Array.isArray(arg)) return g.ints(...arg);
  if ("double" in arg) return g.double(arg.double);
  if ("constant" in arg) return g.constant(arg.constant);
  if ("tensors" in arg) return g.list(...arg.tensors.map((each) => g.resident(each, more)));
  return g.resident(arg as Tensor, more);
}

const constant = (value: Tensor) => ({ constant: value });
const half = { double: 0.5 };
const pair = f32([2, 3], 1, -2, 3, 4, 5, -6);
const unary = (compute: (x: number) => number, ...x: number[]): Case[] => [
  { args: [vector(...x)], expected: vector(...x.map(compute)) },
];
const truths = (...data: number[]): Tensor => bool([data.length], ...data);
const comparison = (...expected: [number, number, number]): Record<"tensor" | "scalar", Case[]> => ({
  tensor: [
    { args: [vector(1, 2, 3), constant(vector(2))], expected: truths(...expected) },
    { args: [i32([3], 1, 2, 3), i32([3], 2, 2, 2)], expected: truths(...expected) },
  ],
  scalar: [
    { args: [i32([3], 1, 2, 3), 2], expected: truths(...expected) },
    { args: [vector(0, 0.5, 1), half], expected: truths(...expected) },
  ],
});
const [eq, lt, le, gt, ge] = [
  comparison(0, 1, 0),
  comparison(1, 0, 0),
  comparison(1, 1, 0),
  comparison(0, 0, 1),
  comparison(0, 1, 1),
] as const;
const texture: Partial<VulkanTensor> = { storage: "TEXTURE_3D" };
const channels: Partial<VulkanTensor> = { ...texture, layout: "TENSOR_CHANNELS_PACKED" };
const angles = [-0.75, 0, 0.5];
const clamps: Case[] = [
  { args: [vector(-2, 0, 2), { double: -1 }, { double: 1 }], expected: vector(-1, 0, 1) },
  { args: [vector(-2, 0, 2), null, half], expected: vector(-2, 0, 0.5) },
  { args: [i32([2], -2, 9), 0, null], expected: i32([2], 0, 9) },
];
const both: Case[] = [{ args: [truths(0, 0, 1), truths(0, 1, 1)], expected: truths(0, 0, 1) }];
const either: Case[] = [{ args: [truths(0, 0, 1), truths(0, 1, 1)], expected: truths(0, 1, 1) }];
const gelu = (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
/** Rows of the weights -8 … -1, 0 … 7, 1, 1, … and -1, 0, -1, 0, …, two scales each. */
const codes = u8(
  [4, 4],
  ...[0x10, 0x32, 0x54, 0x76],
  ...[0x98, 0xba, 0xdc, 0xfe],
  ...[0x99, 0x99, 0x99, 0x99],
  ...[0x87, 0x87, 0x87, 0x87],
);
const scales = f32([2, 4], 1, 2, 4, 8, 0.5, 0.5, 0.5, 0.5);
const rows = f32([5, 8], ...Array.from({ length: 40 }, (_, i) => (i % 7) - 3));
const decoded = [
  [-8, -7, -6, -5, -4, -3, -2, -1],
  [0, 1, 2, 3, 4, 5, 6, 7],
  [1, 1, 1, 1, 1, 1, 1, 1],
  [-1, 0, -1, 0, -1, 0, -1, 0],
];
const fourBitProduct = (x: Tensor, bias: readonly number[]): number[] =>
  Array.from({ length: x.data.length / 8 }, (_, m) =>
    decoded.map((weights, n) =>
      weights.reduce(
        (sum, weight, k) => sum + x.data[m * 8 + k]! * weight * scales.data[Math.floor(k / 4) * 4 + n]!,
        bias[n]!,
      ),
    ),
  ).flat();
const oneRow = f32([1, 8], ...rows.data.subarray(0, 8));
const linearFourBit: Case[] = [
  {
    args: [rows, constant(codes), constant(scales), 4, null],
    expected: f32([5, 4], ...fourBitProduct(rows, [0, 0, 0, 0])),
  },
  {
    args: [oneRow, constant(codes), constant(scales), 4, constant(vector(1, 2, 3, 4))],
    expected: f32([1, 4], ...fourBitProduct(oneRow, [1, 2, 3, 4])),
  },
  {
    args: [rows, constant(codes), constant(scales), 4, constant(vector(1, 2, 3, 4))],
    expected: f32([5, 4], ...fourBitProduct(rows, [1, 2, 3, 4])),
  },
];
const table = u8([2, 16], ...Array(16).fill(0x98), ...Array(16).fill(0x17));
const tableScales = f32([2, 1], 1, 10);
const alternating = (even: number, odd: number) => Array.from({ length: 32 }, (_, i) => (i % 2 ? odd : even));
const eightBit = i8([4, 4], 1, 2, 3, 4, -1, -1, -1, -1, 0, 0, 0, 127, -128, 0, 0, 0);
const eightBitResult = f32([1, 4], 10, -8, 127 * 3, -128 * 4);
/** Tables of a quarter of a turn and none. */
const [cosines, sines] = [
  f32([3, 8], ...Array(8).fill(1), ...Array(8).fill(0), ...Array(8).fill(-1)),
  f32([3, 8], ...Array(8).fill(0), ...Array(8).fill(1), ...Array(8).fill(0)),
];
const head = (...data: number[]): Tensor => f32([1, 1, 1, data.length], ...data);

/** Values that were computed by hand or by the functions of JavaScript. */
const cases: Readonly<Record<string, readonly Case[]>> = {
  "aten.abs.default": unary(Math.abs, -1.5, 0, 2),
  "aten.neg.default": unary((x) => -x, -1.5, 1, 2),
  "aten.exp.default": unary(Math.exp, ...angles),
  "aten.sqrt.default": unary(Math.sqrt, 0, 2, 4),
  "aten.rsqrt.default": unary((x) => 1 / Math.sqrt(x), 1, 2, 4),
  "aten.sin.default": unary(Math.sin, ...angles),
  "aten.cos.default": unary(Math.cos, ...angles),
  "aten.tanh.default": unary(Math.tanh, ...angles),
  "aten.sigmoid.default": unary((x) => 1 / (1 + Math.exp(-x)), ...angles),
  "aten.relu.default": unary((x) => Math.max(0, x), ...angles),
  "aten.round.default": [{ args: [vector(-1.5, -0.6, 0.5, 1.5, 2.5)], expected: vector(-2, -1, 0, 2, 2) }],
  "aten.bitwise_not.default": [
    { args: [truths(0, 1)], expected: truths(1, 0) },
    { args: [u8([2], 0, 1)], expected: u8([2], 255, 254) },
  ],
  "aten.gelu.default": ["tanh", "none"].map((kind) => ({
    args: [vector(...angles), kind],
    expected: vector(...angles.map(gelu)),
  })),
  "aten.clamp.default": clamps,
  "aten.hardtanh.default": clamps.slice(0, 1),
  "aten.add.Tensor": [
    { args: [vector(1, 2), vector(3, 5), 1], expected: vector(4, 7) },
    { args: [f32([2, 1], 1, 2), constant(f32([1, 2], 10, 20)), half], expected: f32([2, 2], 6, 11, 7, 12) },
    { args: [i32([2], 1, 2), constant(i32([1], 5)), 1], expected: i32([2], 6, 7) },
  ],
  "aten.sub.Tensor": [{ args: [constant(vector(1)), vector(3, 5), 2], expected: vector(-5, -9) }],
  "aten.mul.Tensor": [
    { args: [pair, constant(f32([1, 1, 1], 2))], expected: f32([1, 2, 3], 2, -4, 6, 8, 10, -12) },
    { args: [i32([2], 3, 4), i32([2], 5, 6)], expected: i32([2], 15, 24) },
  ],
  "aten.div.Tensor": [{ args: [vector(1, 2), vector(4, 8)], expected: vector(0.25, 0.25) }],
  "aten.div.Tensor_mode": [{ args: [vector(7, -7), vector(2, 2), "floor"], expected: vector(3, -4) }],
  "aten.minimum.default": [{ args: [vector(1, 5), vector(4, 2)], expected: vector(1, 2) }],
  "aten.pow.Tensor_Tensor": [{ args: [vector(2, 9), vector(3, 0.5)], expected: vector(8, 3) }],
  "aten.pow.Tensor_Scalar": [
    { args: [vector(-2, 0, 3), 2], expected: vector(4, 0, 9) },
    { args: [vector(-2, 0, 3), 3], expected: vector(-8, 0, 27) },
    { args: [vector(-4, 0, 9), half], expected: vector(2, 0, 3) },
    { args: [vector(-4, 0, 9), 0], expected: vector(1, 1, 1) },
  ],
  "aten.eq.Tensor": [...eq.tensor, { args: [vector(1, 1), vector(1.000001, 1.1)], expected: truths(1, 0) }],
  "aten.lt.Tensor": lt.tensor,
  "aten.le.Tensor": le.tensor,
  "aten.gt.Tensor": gt.tensor,
  "aten.ge.Tensor": ge.tensor,
  "aten.eq.Scalar": eq.scalar,
  "aten.ne.Scalar": comparison(1, 0, 1).scalar,
  "aten.lt.Scalar": lt.scalar,
  "aten.le.Scalar": le.scalar,
  "aten.gt.Scalar": gt.scalar,
  "aten.ge.Scalar": ge.scalar,
  "aten.logical_and.default": both,
  "aten.bitwise_and.Tensor": [...both, { args: [u8([2], 6, 3), u8([2], 3, 3)], expected: u8([2], 2, 3) }],
  "aten.logical_or.default": either,
  "aten.bitwise_or.Tensor": either,
  "aten.where.self": [
    { args: [truths(1, 0), vector(1, 2), f32([1], 9)], expected: vector(1, 9) },
    { args: [bool([2, 1], 1, 0), vector(1, 2), vector(8, 9)], expected: f32([2, 2], 1, 2, 8, 9) },
  ],
  "aten._to_copy.default": [
    { args: [vector(1.7, -1.7), null, null, null, null, null, null], expected: i32([2], 1, -1) },
    { args: [truths(1, 0), 6, null, null, null, false, null], expected: vector(1, 0) },
    {
      args: [vector(1.0001), null, null, null, null, null, null],
      expected: tensor("f16", [1], [1]),
      tensors: texture,
    },
  ],
  "aten.clone.default": [{ args: [pair, null], expected: pair, tensors: texture }],
  "et_vk.prepack.default": [{ args: [constant(i8([2], -1, 1))], expected: i8([2], -1, 1) }],
  "aten.amax.default": [
    { args: [pair, [-1], true], expected: f32([2, 1], 3, 5) },
    { args: [pair, [1], false], expected: vector(3, 5) },
    { args: [pair, [0], true], expected: f32([1, 3], 4, 5, 3), tensors: texture },
    { args: [vector(1, 4, 2), null, true], expected: vector(4) },
  ],
  "aten.amin.default": [{ args: [pair, [-1], true], expected: f32([2, 1], -2, -6) }],
  "aten.mean.dim": [{ args: [f32([2, 2], 1, 2, 3, 5), [-1], 0, null], expected: vector(1.5, 4) }],
  "aten.sum.dim_IntList": [
    { args: [pair, [-1], 1, null], expected: f32([2, 1], 2, 3) },
    { args: [pair, [0, 1], true, null], expected: f32([1, 1], 5), tensors: texture },
    { args: [i32([2, 2], 1, 2, 3, 4), [-1], false, null], expected: i32([2], 3, 7) },
  ],
  "aten._softmax.default": [
    { args: [f32([2, 2], 0, 0, 5, 5), 0, false], expected: f32([2, 2], ...softmax(0, 5), ...softmax(5, 0)) },
    { args: [f32([1, 2], 0, Math.log(3)), -1, false], expected: f32([1, 2], 0.25, 0.75) },
  ],
  "aten.argmax.default": [
    { args: [pair, -1, false], expected: i32([2], 2, 1) },
    { args: [pair, 1, true], expected: i32([2, 1], 2, 1) },
  ],
  "et_vk.rms_norm.default": [
    { args: [f32([1, 2], 3, 4), constant(vector(1, 10)), { double: 0 }], expected: rmsExpected() },
  ],
  "aten.native_layer_norm.default": [
    {
      args: [f32([2, 2], 1, 3, 5, 5), [2], constant(vector(1, 2)), constant(vector(0, 1)), { double: 1e-12 }],
      expected: [f32([2, 2], -1, 3, 0, 1), f32([2, 1], 2, 5), f32([2, 1], 1, 1e6)],
    },
  ],
  "aten.view_copy.default": [
    { args: [pair, [3, 2]], expected: { ...pair, shape: [3, 2] } },
    { args: [pair, [1, -1, 2]], expected: { ...pair, shape: [1, 3, 2] } },
    { args: [pair, null], expected: pair },
  ],
  "aten.permute_copy.default": [{ args: [pair, [1, 0]], expected: f32([3, 2], 1, 4, -2, 5, 3, -6) }],
  "aten.permute.default": [{ args: [pair, [1, 0]], expected: f32([3, 2], 1, 4, -2, 5, 3, -6) }],
  "aten.unsqueeze_copy.default": [
    { args: [pair, -1], expected: { ...pair, shape: [2, 3, 1] } },
    { args: [pair, 0], expected: { ...pair, shape: [1, 2, 3] } },
  ],
  "aten.squeeze_copy.dims": [
    { args: [f32([1, 2, 1], 1, 2), [0, 1]], expected: f32([2, 1], 1, 2) },
    { args: [f32([1, 2, 1], 1, 2), [0, 2]], expected: vector(1, 2) },
  ],
  "aten.expand_copy.default": [
    { args: [f32([2, 1], 1, 2), [2, 2, -1], false], expected: f32([2, 2, 1], 1, 2, 1, 2) },
    { args: [f32([2, 1], 1, 2), [-1, 2], false], expected: f32([2, 2], 1, 1, 2, 2) },
  ],
  "aten.slice_copy.Tensor": [
    { args: [pair, 1, 1, 2 ** 63, 1], expected: f32([2, 2], -2, 3, 5, -6) },
    { args: [pair, -1, null, null, 2], expected: f32([2, 2], 1, 3, 4, -6) },
    { args: [pair, 1, -2, -1, 1], expected: f32([2, 1], -2, 5) },
  ],
  "aten.select_copy.int": [
    { args: [pair, 0, -1], expected: vector(4, 5, -6) },
    { args: [pair, -1, 0], expected: vector(1, 4) },
  ],
  "aten.cat.default": [
    {
      args: [{ tensors: [pair, f32([2, 1], 8, 9)] }, -1],
      expected: f32([2, 4], 1, -2, 3, 8, 4, 5, -6, 9),
    },
  ],
  "aten.split_with_sizes_copy.default": [
    { args: [pair, [1, 2], 1], expected: [f32([2, 1], 1, 4), f32([2, 2], -2, 3, 5, -6)] },
  ],
  "aten.repeat.default": [{ args: [vector(1, 2), [2, 2]], expected: f32([2, 4], 1, 2, 1, 2, 1, 2, 1, 2) }],
  "aten.full.default": [
    { args: [[1, 2], half, null, null, null, null], expected: f32([1, 2], 0.5, 0.5) },
    { args: [[2], 3, null, null, null, null], expected: i32([2], 3, 3) },
  ],
  "aten.zeros.default": [{ args: [[2], null, null, null, null], expected: vector(0, 0) }],
  "aten.ones.default": [{ args: [[2], null, null, null, null], expected: vector(1, 1) }],
  "aten.embedding.default": [
    {
      args: [constant(f32([3, 2], 1, 2, 3, 4, 5, 6)), i32([1, 2], 2, 0), -1, false, false],
      expected: f32([1, 2, 2], 5, 6, 1, 2),
    },
  ],
  "aten.index_select.default": [
    { args: [pair, 1, i32([2], 2, 0)], expected: f32([2, 2], 3, 1, -6, 4), tensors: channels },
  ],
  "aten.gather.default": [{ args: [pair, 1, i32([2, 1], 2, 0), false], expected: f32([2, 1], 3, 4) }],
  "et_vk.linear_q4gsw.default": linearFourBit,
  "et_vk.q4gsw_linear.default": linearFourBit.slice(0, 1),
  "et_vk.embedding_q4gsw.default": [
    {
      args: [constant(table), constant(tableScales), 32, i32([1, 2], 1, 0), true],
      expected: f32([1, 2, 32], ...alternating(-10, -70), ...alternating(0, 1)),
    },
    {
      args: [constant(table), constant(tableScales), 32, i32([1, 2], 1, 0), false],
      expected: f32([1, 2, 32], ...alternating(-70, -10), ...alternating(1, 0)),
    },
    {
      args: [constant(table), constant(f32([2, 2], 1, 2, 3, 4)), 16, i32([1], 0), true],
      expected: f32([1, 32], ...alternating(0, 1).slice(16), ...alternating(0, 2).slice(16)),
    },
  ],
  "et_vk.linear_q8csw.default": [
    {
      args: [f32([1, 4], 1, 1, 1, 1), constant(eightBit), constant(vector(1, 2, 3, 4)), null],
      expected: f32([1, 4], 10, -8, 381, -512),
    },
    {
      args: [
        f32([1, 4], 1, 1, 1, 1),
        constant(eightBit),
        constant(vector(1, 2, 3, 4)),
        constant(vector(1, 1, 1, 1)),
      ],
      expected: f32([1, 4], 11, -7, 382, -511),
    },
  ],
  "aten._weight_int8pack_mm.default": [
    {
      args: [f32([1, 4], 1, 1, 1, 1), constant(eightBit), constant(vector(1, 2, 3, 4))],
      expected: eightBitResult,
    },
  ],
  "aten.linear.default": [
    {
      args: [f32([1, 1, 2], 2, 3), constant(f32([3, 2], 1, 0, 0, 1, 1, 1)), constant(vector(10, 20, 30))],
      expected: f32([1, 1, 3], 12, 23, 35),
    },
    { args: [f32([1, 2], 2, 3), constant(f32([1, 2], 1, 1)), null], expected: f32([1, 1], 5) },
  ],
  "aten.mm.default": [
    { args: [f32([1, 2], 2, 3), constant(f32([2, 2], 1, 2, 3, 4))], expected: f32([1, 2], 11, 16) },
    { args: [f32([1, 2], 2, 3), f32([2, 2], 1, 2, 3, 4)], expected: f32([1, 2], 11, 16) },
  ],
  "aten.bmm.default": [
    { args: [f32([2, 1, 2], 1, 2, 3, 4), f32([2, 2, 1], 1, 1, 2, 2)], expected: f32([2, 1, 1], 3, 14) },
  ],
  "aten.addmm.default": [
    {
      args: [constant(vector(1, 10)), f32([1, 2], 2, 3), constant(f32([2, 2], 1, 2, 3, 4)), 2, half],
      expected: f32([1, 2], 7.5, 28),
    },
  ],
  "et_vk.apply_rotary_emb_hf.default": [
    {
      args: [head(...range8(1)), head(...range8(2)), cosines, sines, 1],
      expected: [head(-5, -6, -7, -8, 1, 2, 3, 4), head(-10, -12, -14, -16, 2, 4, 6, 8)],
    },
    {
      // Twelve elements, of which eight are turned.
      args: [head(...range8(1), 9, 9, 9, 9), head(...range8(1), 7, 7, 7, 7), cosines, sines, 2],
      expected: [head(...range8(-1), 9, 9, 9, 9), head(...range8(-1), 7, 7, 7, 7)],
    },
  ],
  "et_vk.apply_rotary_emb.default": [
    {
      args: [
        f32([1, 2, 1, 2], 1, 2, 3, 4),
        f32([1, 2, 1, 2], 5, 6, 7, 8),
        f32([2, 1], 1, 0),
        f32([2, 1], 0, 1),
      ],
      expected: [f32([1, 2, 1, 2], 1, 2, -4, 3), f32([1, 2, 1, 2], 5, 6, -8, 7)],
    },
  ],
  "et_vk.sdpa.default": [
    {
      args: [
        f32([1, 1, 1, 2], 0, 0),
        f32([1, 1, 4, 2], 1, 0, 1, 0, 1, 0, 1, 0),
        f32([1, 1, 4, 1], 1, 2, 3, 100),
        f32([1, 1, 1, 4], 0, 0, 0, -1e9),
        null,
      ],
      expected: f32([1, 1, 1, 1], 2),
    },
    {
      args: [
        f32([1, 1, 1, 1], 1),
        f32([1, 1, 4, 1], 0, 0, 0, 1),
        f32([1, 1, 4, 1], 0, 0, 0, 1),
        null,
        { double: Math.log(3) },
      ],
      expected: f32([1, 1, 1, 1], 0.5),
    },
  ],
};

function softmax(a: number, b: number): number[] {
  const share = Math.exp(a) / (Math.exp(a) + Math.exp(b));
  return [share, share];
}
function rmsExpected(): Tensor {
  const root = Math.sqrt(12.5);
  return f32([1, 2], 3 / root, 40 / root);
}
function range8(factor: number): number[] {
  return Array.from({ length: 8 }, (_, i) => (i + 1) * factor);
}

/** Those that have tests of their own: they work with integers, or with what an earlier call left. */
const others = [
  ...["sym_size.int", "add", "sub", "mul", "floordiv", "et_vk.select_as_symint.default"],
  ...["sdpa_with_kv_cache.default", "update_cache.default", "llama.custom_sdpa.default"],
];

test("all ops have cases", () => {
  expect([...Object.keys(cases), ...others].sort()).toEqual([...operators.keys()].sort());
});

async function run(op: string, { args, expected, tensors = {} }: Case): Promise<readonly Tensor[]> {
  const g = new GraphWriter();
  const given = args.map((arg) => addArg(g, arg, tensors));
  const isList = Array.isArray(expected);
  const all = (isList ? expected : [expected]) as readonly Tensor[];
  const results = all.map(({ dtype, shape }) => g.tensor(dtype as DType, shape, tensors));
  g.call(op, ...given, isList ? g.list(...results) : results[0]!);
  return (await g.load([], results)).run([]);
}

describe.each(Object.entries(cases))("%s", (op, each) => {
  test.each(each.map((one, i) => [i, one] as const))("case %i", async (_, one) => {
    const results = await run(op, one);
    const expected = (Array.isArray(one.expected) ? one.expected : [one.expected]) as readonly Tensor[];
    expect(results.map(({ dtype, shape }) => [dtype, shape])).toEqual(
      expected.map(({ dtype, shape }) => [dtype, shape]),
    );
    results.forEach(({ data }, i) => {
      const want = expected[i]!.data;
      for (let at = 0; at < want.length; at++)
        expect(Math.abs(data[at]! - want[at]!), `${at}: ${data[at]}`).toBeLessThanOrEqual(
          1e-6 * Math.max(1, Math.abs(want[at]!)),
        );
    });
  });
});
