import { definePass, definePlugin, weightBytes } from "bitnetc";

export function largestWeights({ count = 3 } = {}) {
  const pass = definePass({
    name: "largest-weights",
    doc: `Tells the ${count} places of the model with the largest weights.`,
    run(graph, context) {
      const bytesAt = new Map();
      const seen = new Set();
      for (const node of graph.nodes)
        for (const { def } of node.operands) {
          if (def.kind !== "const" || seen.has(def.data.id)) continue;
          seen.add(def.data.id);
          const { source } = node.loc;
          bytesAt.set(source, (bytesAt.get(source) ?? 0) + weightBytes(def.data));
        }
      const largest = [...bytesAt].sort(([, a], [, b]) => b - a).slice(0, count);
      for (const [place, bytes] of largest) context.metric(`bytes at ${place}`, bytes);
    },
  });
  return definePlugin({
    name: "largest-weights",
    setup(build) {
      build.pass(pass, { phase: "packed", order: "last" });
    },
  });
}

export default largestWeights();
