import type { Node, Value } from "../../../ir/graph.ts";
import { broadcastShapes } from "../../../ir/ops/shapes.ts";
import { type Dim, productOf } from "../../../tensor/dim.ts";
import { elementwise } from "../kernels/elementwise/kernel.ts";
import { layerNorm } from "../kernels/layer-norm/kernel.ts";
import { matmul } from "../kernels/matmul/kernel.ts";
import { range } from "../kernels/range/kernel.ts";
import { type ReduceParams, reduce, reduceKernelOps } from "../kernels/reduce/kernel.ts";
import { softmax } from "../kernels/softmax/kernel.ts";
import type { Operand } from "../operands.ts";
import { targets } from "../target.ts";
import type { Lowering } from "./group.ts";
import { axesOf, bind, dataOf, perNode, unknownSizes } from "./per-node.ts";

const isElementwise = (node: Node): boolean => {
  const inputs = dataOf(node);
  if (node.results.length !== 1 || inputs.length === 0 || inputs.length > 3) return false;
  const refusal = elementwise.supports?.(
    {
      op: node.op,
      inputs: inputs.map(({ type }) => ({ shape: [], dtype: type.dtype, constant: false })),
      shape: [],
      dtype: node.results[0]!.type.dtype,
      attrs: node.attrs,
    },
    targets.baseline,
  );
  return refusal === undefined;
};

const elements = perNode(
  "elementwise",
  "An op that works element by element, with broadcasting: one dispatch.",
  isElementwise,
  (emitter, node) => {
    const { operands, slices } = bind(emitter, ["a", "b", "c"], dataOf(node));
    const [result] = node.results as [Value];
    const params = {
      op: node.op,
      inputs: operands,
      shape: emitter.shape(result),
      dtype: result.type.dtype,
      attrs: node.attrs,
    };
    emitter.dispatch(elementwise, params, { ...slices, out: emitter.define(result) }, node);
  },
);

const softmaxAlongAxis = perNode(
  "softmax",
  "The op on its own: one dispatch.",
  ["softmax"],
  (emitter, node) => {
    const x = node.arg("x");
    const shape = emitter.shape(x);
    const [axis] = axesOf(node, [node.attrs.axis as number]) as [number];
    const params = {
      outer: productOf(shape.slice(0, axis)),
      size: shape[axis]!,
      inner: productOf(shape.slice(axis + 1)),
    };
    emitter.dispatch(softmax, params, { x: emitter.read(x), out: emitter.define(node.results[0]!) }, node);
  },
  requireF32,
);

const layerNormalization = perNode(
  "layer-norm",
  "The op on its own: one dispatch.",
  ["nn.layer_norm"],
  (emitter, node) => {
    const [x, scale, bias] = [node.arg("x"), node.arg("scale"), node.optional("bias")];
    const params = {
      rows: emitter.rowCount(x),
      width: scale.type.shape[0] as number,
      eps: node.attrs.eps as number,
      bias: bias !== undefined,
    };
    const bindings = {
      x: emitter.read(x),
      scale: emitter.read(scale),
      ...(bias && { bias: emitter.read(bias) }),
      out: emitter.define(node.results[0]!),
    };
    emitter.dispatch(layerNorm, params, bindings, node);
  },
  requireF32,
);

const reduction = perNode(
  "reduce",
  "The op on its own: one dispatch.",
  reduceKernelOps,
  (emitter, node) => {
    const { operands, slices } = bind(emitter, ["x"], [node.arg("x")]);
    const params = {
      op: node.op as ReduceParams["op"],
      input: operands[0]!,
      axes: axesOf(node, node.attrs.axes as readonly number[]),
    };
    emitter.dispatch(reduce, params, { ...slices, out: emitter.define(node.results[0]!) }, node);
  },
  ({ attrs }) => ((attrs.axes as readonly number[]).length === 0 ? "It reduces no axis." : undefined),
);

const product = perNode("matmul", "The op on its own: one dispatch.", ["matmul"], (emitter, node) => {
  const { operands, slices } = bind(emitter, ["a", "b"], [node.arg("a"), node.arg("b")]);
  const [a, b] = operands as [Operand, Operand];
  const batchOf = (shape: readonly Dim[]) => shape.slice(0, -2);
  const params = { a, b, batch: broadcastShapes(batchOf(a.shape), batchOf(b.shape)) };
  emitter.dispatch(matmul, params, { ...slices, out: emitter.define(node.results[0]!) }, node);
});

const integerRange = perNode(
  "range",
  "The op on its own: one dispatch.",
  ["range"],
  (emitter, node) => {
    const [result] = node.results as [Value];
    const [start, , delta] = boundsOf(node) as [Dim, Dim, number];
    const params = { start: emitter.size(start), delta, length: emitter.shape(result)[0]! };
    emitter.dispatch(range, params, { out: emitter.define(result) }, node);
  },
  (node) => {
    const [start, , delta] = boundsOf(node);
    return start === undefined || typeof delta !== "number" ? unknownSizes : undefined;
  },
);

const boundsOf = (node: Node): readonly (Dim | undefined)[] =>
  ["start", "limit", "delta"].map((name) => node.arg(name).contents?.[0]);

/** These shaders read floats of 4 bytes. */
function requireF32(node: Node): string | undefined {
  const other = dataOf(node).find(({ type }) => type.dtype !== "f32");
  return other && `It is of ${other.type.dtype}.`;
}

/** Ops that compute. */
export const arithmeticLowerings: readonly Lowering[] = [
  elements,
  softmaxAlongAxis,
  layerNormalization,
  reduction,
  product,
  integerRange,
];
