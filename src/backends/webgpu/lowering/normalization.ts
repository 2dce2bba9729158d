import { rmsNorm as kernel } from "../kernels/rms-norm/kernel.ts";
import { groupOfOne, type Lowering } from "./group.ts";

export const rmsNorm: Lowering = {
  name: "rms-norm",
  doc: "nn.rms_norm: one dispatch.",
  match(node) {
    if (node.op !== "nn.rms_norm") return undefined;
    if (node.arg("scale").def.kind !== "const") return "Its scale is computed while the program runs.";
    return groupOfOne("rms-norm", node, (emitter) => {
      const [x, scale] = [node.arg("x"), node.arg("scale")];
      const params = {
        rows: emitter.rowCount(x),
        width: scale.type.shape[0] as number,
        eps: node.attrs.eps as number,
      };
      const bindings = {
        x: emitter.read(x),
        scale: emitter.read(scale),
        out: emitter.define(node.results[0]!),
      };
      emitter.dispatch(kernel, params, bindings, node);
    });
  },
};
