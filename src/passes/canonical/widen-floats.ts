import type { Value } from "../../ir/graph.ts";
import type { TensorType } from "../../ir/type.ts";
import { castWeight } from "../../ir/weights.ts";
import type { DType } from "../../tensor/dtype.ts";
import { findDecoder } from "../decoder.ts";
import { definePass } from "../pass.ts";

const isHalf = (dtype: unknown): boolean => dtype === "f16" || dtype === "bf16";

/**
 * A language model exported in a 16-bit float computes in f32: norms, softmax, the residual stream and ReLU²
 * need the range, and every 16-bit constant is an f32 constant too. The casts between the two fall away.
 */
export const widenFloats = definePass({
  name: "widen-floats",
  doc: "Language models compute in f32, whatever float their export used.",
  run(graph) {
    if (findDecoder(graph) === undefined) return;
    const b = graph.edit("widen-floats");
    const widened = new Map<Value, TensorType>();
    for (const value of [...graph.inputs, ...graph.states])
      if (isHalf(value.type.dtype)) widened.set(value, { ...value.type, dtype: "f32" });
    for (const node of graph.nodes) {
      for (const operand of new Set(node.operands)) {
        if (operand.def.kind !== "const" || !isHalf(operand.type.dtype)) continue;
        b.replace(operand, b.constant(castWeight(operand.def.data, "f32")), { retype: true });
      }
    }
    b.retype((node) => {
      const to = node.attrs.to as DType | undefined;
      return isHalf(to) ? { ...node.attrs, to: "f32" } : undefined;
    });
    b.reinfer(widened);
  },
});
