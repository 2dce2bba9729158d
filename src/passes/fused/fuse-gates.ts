import { rewritePass, rule } from "../rule.ts";

const relu2 = rule({
  name: "relu2",
  doc: "relu(x)² → nn.relu2 (arXiv 2109.08668)",
  pattern(p) {
    const x = p.any();
    const rectified = p("relu", { x });
    return { root: p("mul", { a: rectified, b: rectified }), x };
  },
  rewrite: (b, m) => b("nn.relu2", { x: m.x }),
});

const silu = rule({
  name: "silu",
  doc: "x · sigmoid(x) → nn.silu (arXiv 1702.03118)",
  pattern(p) {
    const x = p.any();
    return { root: p("mul", { a: x, b: p("sigmoid", { x }) }), x };
  },
  rewrite: (b, m) => b("nn.silu", { x: m.x }),
});

const geluErf = rule({
  name: "gelu",
  doc: "x · ½ · (1 + erf(x / √2)) → nn.gelu (arXiv 1606.08415)",
  pattern(p) {
    const x = p.any();
    const scaled = p.either(
      p("div", { a: x, b: p.scalar(Math.SQRT2) }),
      p("mul", { a: x, b: p.scalar(Math.SQRT1_2) }),
    );
    const gate = p("add", { a: p("erf", { x: scaled }), b: p.scalar(1) });
    const half = p.scalar(0.5);
    const root = p.either(
      p("mul", { a: p("mul", { a: x, b: gate }), b: half }),
      p("mul", { a: p("mul", { a: x, b: half }), b: gate }),
      p("mul", { a: x, b: p("mul", { a: gate, b: half }) }),
    );
    return { root, x };
  },
  rewrite: (b, m) => b("nn.gelu", { x: m.x }, { approximate: "none" }),
});

const geluTanh = rule({
  name: "gelu-tanh",
  doc: "½ · x · (1 + tanh(√(2/π) · (x + 0.044715 · x³))) → nn.gelu, approximate tanh",
  pattern(p) {
    const x = p.any();
    const square = p("mul", { a: x, b: x });
    const cube = p.either(p("mul", { a: square, b: x }), p("pow", { a: x, b: p.scalar(3) }));
    const inner = p("add", { a: x, b: p("mul", { a: cube, b: p.scalar(0.044715) }) });
    const gate = p("add", {
      a: p("tanh", { x: p("mul", { a: inner, b: p.scalar(Math.sqrt(2 / Math.PI)) }) }),
      b: p.scalar(1),
    });
    const half = p.scalar(0.5);
    const root = p.either(
      p("mul", { a: p("mul", { a: x, b: half }), b: gate }),
      p("mul", { a: p("mul", { a: x, b: gate }), b: half }),
      p("mul", { a: x, b: p("mul", { a: gate, b: half }) }),
    );
    return { root, x };
  },
  rewrite: (b, m) => b("nn.gelu", { x: m.x }, { approximate: "tanh" }),
});

export const fuseGates = rewritePass("fuse-gates", "Recognises the activations of feed-forward blocks.", [
  relu2,
  silu,
  geluErf,
  geluTanh,
]);
