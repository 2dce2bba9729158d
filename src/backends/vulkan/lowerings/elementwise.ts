import type { Node } from "../../../ir/graph.ts";
import { f32 } from "../../../ir/type.ts";
import type { OpsWith } from "../../ops-with.ts";
import type { Emitter } from "../emitter.ts";
import { one, resultType, type VulkanLowering } from "../lowering.ts";
import type { tensorOps } from "../operators.ts";
import type { Operand, VulkanTensor } from "../value.ts";

type UnaryOp = OpsWith<typeof tensorOps, { readonly self: "tensor" }>;
type BinaryOp = OpsWith<typeof tensorOps, { readonly self: "operand"; readonly other: "operand" }>;

const unary = (op: UnaryOp): VulkanLowering =>
  one((e, node) => e.op(op, { self: e.tensor(node.arg("x")) }, resultType(node)));

const operands = (e: Emitter, node: Node) => ({
  self: e.operand(node.arg("a")),
  other: e.operand(node.arg("b")),
});

const binary = (op: BinaryOp): VulkanLowering =>
  one((e, node) => e.op(op, operands(e, node), resultType(node)));

const sum = (op: "aten.add.Tensor" | "aten.sub.Tensor"): VulkanLowering =>
  one((e, node) => e.op(op, { ...operands(e, node), alpha: 1 }, resultType(node)));

/** The quotient by 1, rounded down: there is no op that rounds and nothing else. */
const floor = (e: Emitter, self: Operand, node: Node): VulkanTensor =>
  e.op("aten.div.Tensor_mode", { self, other: e.number(1), rounding_mode: "floor" }, resultType(node));

const negate = (e: Emitter, x: Operand, node: Node): VulkanTensor =>
  e.op("aten.mul.Tensor", { self: x, other: e.number(-1) }, resultType(node));

/** The only element of a constant that is in the graph. */
function numberOf(node: Node, name: string): number | undefined {
  const { def } = node.arg(name);
  const data = def.kind === "const" ? def.data.inline?.data : undefined;
  return data?.length === 1 ? data[0] : undefined;
}

export const elementwise = {
  abs: unary("aten.abs.default"),
  cos: unary("aten.cos.default"),
  exp: unary("aten.exp.default"),
  neg: unary("aten.neg.default"),
  relu: unary("aten.relu.default"),
  round: unary("aten.round.default"),
  rsqrt: unary("aten.rsqrt.default"),
  sigmoid: unary("aten.sigmoid.default"),
  sin: unary("aten.sin.default"),
  sqrt: unary("aten.sqrt.default"),
  tanh: unary("aten.tanh.default"),
  reciprocal: one((e, node) =>
    e.op("aten.div.Tensor", { self: e.number(1), other: e.tensor(node.arg("x")) }, resultType(node)),
  ),

  add: sum("aten.add.Tensor"),
  sub: sum("aten.sub.Tensor"),
  mul: binary("aten.mul.Tensor"),
  div: binary("aten.div.Tensor"),
  minimum: binary("aten.minimum.default"),
  floor: one((e, node) => floor(e, e.tensor(node.arg("x")), node)),
  ceil: one((e, node) => negate(e, floor(e, negate(e, e.tensor(node.arg("x")), node), node), node)),
  maximum: one((e, node) => {
    const [a, b] = [node.arg("a"), node.arg("b")].map((value) => {
      const { shape } = value.def.kind === "const" ? e.constant(value.def.data).weight : e.tensor(value);
      return e.op("aten.mul.Tensor", { self: e.operand(value), other: e.number(-1) }, f32(shape));
    });
    return negate(e, e.op("aten.minimum.default", { self: a!, other: b! }, resultType(node)), node);
  }),
  pow: one(
    (e, node) => {
      const self = e.tensor(node.arg("a"));
      const exponent = numberOf(node, "b")!;
      // A product is exact, and the op goes by way of logarithms.
      const power =
        exponent === 2
          ? e.op("aten.mul.Tensor", { self, other: self }, f32(self.shape))
          : e.op("aten.pow.Tensor_Scalar", { self, exponent }, f32(self.shape));
      return e.view(power, node.results[0]!.type.shape);
    },
    (node) => (numberOf(node, "b") === undefined ? "the exponent must be one number" : undefined),
  ),

  "nn.relu2": one((e, node) => {
    const self = e.op("aten.relu.default", { self: e.tensor(node.arg("x")) }, resultType(node));
    return e.op("aten.mul.Tensor", { self, other: self }, resultType(node));
  }),
  "nn.silu": one((e, node) => {
    const self = e.tensor(node.arg("x"));
    const other = e.op("aten.sigmoid.default", { self }, f32(self.shape));
    return e.op("aten.mul.Tensor", { self, other }, f32(self.shape));
  }),
  "nn.gelu": one(
    (e, node) =>
      e.op("aten.gelu.default", { self: e.tensor(node.arg("x")), approximate: "tanh" }, resultType(node)),
    (node) =>
      node.attrs.approximate === "tanh" ? undefined : "the GPU backends have its approximation by tanh alone",
  ),
} satisfies Record<string, VulkanLowering>;
