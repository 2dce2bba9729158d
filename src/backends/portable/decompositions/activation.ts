import { type Decomposition, needsF32, one } from "../decomposition.ts";

export const activation = {
  "nn.relu2": one((e, node) => {
    const x = e.tensor(node.arg("x"));
    const positive = e.op("aten::relu.out", { self: x }, x);
    return e.op("aten::mul.out", { self: positive, other: positive }, x);
  }, needsF32("x")),
  "nn.silu": one((e, node) => {
    const x = e.tensor(node.arg("x"));
    return e.op("aten::mul.out", { self: x, other: e.op("aten::sigmoid.out", { self: x }, x) }, x);
  }, needsF32("x")),
  "nn.gelu": one((e, node) => {
    const x = e.tensor(node.arg("x"));
    return e.op("aten::gelu.out", { self: x, approximate: node.attrs.approximate as string }, x);
  }, needsF32("x")),
} satisfies Record<string, Decomposition>;
