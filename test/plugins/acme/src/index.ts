import { definePass, definePlugin, type Phase, type Plugin, rule } from "bitnetc";
import { type Relu2Gate, relu2Gate } from "./relu2-gate.js";

declare module "bitnetc" {
  interface Ops {
    readonly "acme.relu2_gate": Relu2Gate;
  }
}

export interface AcmeOptions {
  /** The gate is fused where its width is a multiple of this. */
  readonly lanes?: number;
  /** Leaves the op in the program, for a runtime that is given its kernel. */
  readonly keep?: boolean;
  /** Hears of each phase that the graph passes. */
  readonly onPhase?: (phase: Phase, gates: number) => void;
}

const fuseGate = (lanes: number) =>
  rule({
    name: "acme-relu2-gate",
    doc: "nn.relu2(gate) · up → acme.relu2_gate",
    pattern(p) {
      const [gate, up] = [p.any(), p.any()];
      return { root: p("mul", { a: p("nn.relu2", { x: gate }), b: up }), gate, up };
    },
    check(m) {
      const width = m.root.type.shape.at(-1);
      if (typeof width !== "number" || width % lanes !== 0)
        return m.no(`the width ${width} is not a multiple of ${lanes}`);
      return undefined;
    },
    rewrite: (b, m) => b("acme.relu2_gate", { gate: m.gate, up: m.up }),
  });

const countNodes = definePass({
  name: "acme-count",
  doc: "Counts the nodes that are left when the norms are fused.",
  run(graph, context) {
    context.metric("acme.nodes", graph.nodes.length);
  },
});

/** A runtime without a kernel for the op is given what it stands for. */
const decompose = definePass({
  name: "acme-decompose",
  doc: "acme.relu2_gate → nn.relu2(gate) · up",
  run(graph, context) {
    const b = graph.edit("acme-decompose");
    for (const node of graph.nodes) {
      if (node.op !== "acme.relu2_gate") continue;
      const rectified = b("nn.relu2", { x: node.arg("gate") });
      b.replace(node.results[0]!, b("mul", { a: node.arg("up"), b: rectified }));
      context.metric("acme.decomposed", 1);
    }
  },
});

export function acme({ lanes = 1, keep = false, onPhase }: AcmeOptions = {}): Plugin {
  return definePlugin({
    name: "acme",
    setup(build) {
      build.op("acme.relu2_gate", relu2Gate);
      build.rule(fuseGate(lanes), { into: "fuse-gates" });
      build.pass(countNodes, { after: "fuse-norms" });
      if (!keep) build.pass(decompose, { phase: "packed", order: "last" });
      build.onnxOp("acme::Relu2Gate", (context) => [
        context.b("acme.relu2_gate", { gate: context.input(0), up: context.input(1) }),
      ]);
      build.onPhase(/^(stateful|packed)$/, ({ phase, graph }) => {
        onPhase?.(phase, graph.nodes.filter(({ op }) => op === "acme.relu2_gate").length);
      });
    },
  });
}

export { relu2Gate };

/** What `bitnetc --plugin` loads. */
export default acme();
