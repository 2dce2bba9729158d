import { InferenceError, type NoAttrs, type OpDef, type OpSignature, sameType, tensor } from "bitnetc";

export type Relu2Gate = OpSignature<"gate" | "up", NoAttrs>;

export const relu2Gate: OpDef<Relu2Gate> = {
  doc: "max(gate, 0)² · up (So et al. 2021, arXiv:2109.08668), element by element; both f32 and of one shape.",
  args: ["gate", "up"],
  infer({ gate, up }) {
    if (gate.type.dtype !== "f32") throw new InferenceError(`gate must be f32, and is ${gate.type.dtype}`);
    if (!sameType(gate.type, up.type)) throw new InferenceError("gate and up must be of one type");
    return [gate.type];
  },
  kernel({ gate, up }) {
    const y = new Float32Array(gate.data.length);
    for (const i of y.keys()) y[i] = Math.fround(Math.max(gate.data[i]!, 0) ** 2) * up.data[i]!;
    return [tensor("f32", gate.shape, y)];
  },
};
