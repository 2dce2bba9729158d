import { definePlugin, InferenceError, rewritePass, rule, sameType, tensor } from "bitnetc";

const fuse = (/** @type {number} */ tile) =>
  rule({
    name: "example-relu2-gate",
    doc: "nn.relu2(gate) · up → example.relu2_gate",
    pattern(p) {
      const [gate, up] = [p.any(), p.any()];
      return { root: p("mul", { a: p("nn.relu2", { x: gate }), b: up }), gate, up };
    },
    check(m) {
      const width = m.root.type.shape.at(-1);
      if (typeof width === "number" && width % tile === 0) return undefined;
      return m.no(`the width is ${width}, which tiles of ${tile} do not fill`);
    },
    rewrite: (b, m) => b("example.relu2_gate", { gate: m.gate, up: m.up }),
  });

const unfuse = rule({
  name: "example-relu2-gate-apart",
  doc: "example.relu2_gate → nn.relu2(gate) · up",
  pattern(p) {
    const [gate, up] = [p.any(), p.any()];
    return { root: p("example.relu2_gate", { gate, up }), gate, up };
  },
  rewrite: (b, m) => b("mul", { a: m.up, b: b("nn.relu2", { x: m.gate }) }),
});

export function relu2Gate({ tile = 512 } = {}) {
  return definePlugin({
    name: "relu2-gate",
    setup(build) {
      build.op("example.relu2_gate", {
        doc: "max(gate, 0)² · up, element by element; both f32 and of one shape.",
        args: ["gate", "up"],
        infer({ gate, up }) {
          if (!sameType(gate.type, up.type)) throw new InferenceError("gate and up must be of one type");
          return [gate.type];
        },
        kernel({ gate, up }) {
          const y = new Float32Array(gate.data.length);
          for (let i = 0; i < y.length; i++) y[i] = Math.max(gate.data[i], 0) ** 2 * up.data[i];
          return [tensor("f32", gate.shape, y)];
        },
      });
      build.rule(fuse(tile), { into: "fuse-gates" });
      build.pass(rewritePass("example-decompose", "Takes the example's op apart.", [unfuse]), {
        phase: "packed",
        order: "last",
      });
    },
  });
}

export default relu2Gate();
