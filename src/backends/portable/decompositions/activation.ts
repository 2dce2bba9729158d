import type { Decomposition } from "../decomposition.ts";
import { refuseF64, rounded, wide } from "./widening.ts";

export const activation = {
  "nn.relu2": rounded((e, node) => {
    const x = wide(e, e.tensor(node.arg("x")));
    const positive = e.op("aten::relu.out", { self: x }, x);
    return e.op("aten::mul.out", { self: positive, other: positive }, x);
  }, refuseF64("x")),
  "nn.silu": rounded((e, node) => {
    const x = wide(e, e.tensor(node.arg("x")));
    return e.op("aten::mul.out", { self: x, other: e.op("aten::sigmoid.out", { self: x }, x) }, x);
  }, refuseF64("x")),
  "nn.gelu": rounded((e, node) => {
    const x = wide(e, e.tensor(node.arg("x")));
    return e.op("aten::gelu.out", { self: x, approximate: node.attrs.approximate as string }, x);
  }, refuseF64("x")),
} satisfies Record<string, Decomposition>;
