import type { Value } from "../../ir/graph.ts";
import type { OpName } from "../../ir/ops/index.ts";
import { definePass } from "../pass.ts";
import { rewritePass, rule } from "../rule.ts";

/** Generation needs the logits of the last position only: [1, V] instead of [1, S, V]. */
export const selectLogits = definePass({
  name: "select-logits",
  doc: "With --logits last, the program returns the logits of the last token.",
  run(graph, { options }) {
    const logits = graph.outputs.find(({ name }) => name === "logits")?.value;
    const shape = logits?.type.shape;
    const isDecoder = graph.inputs.some(({ def }) => def.kind === "input" && def.name === "tokens");
    if (options.logits === "all" || logits === undefined || shape?.length !== 3 || !isDecoder) return;
    const b = graph.edit("select-logits");
    const last = b(
      "slice",
      { x: logits, starts: b.dims([-1]), ends: b.dims([shape[1]!]) },
      { axes: [1], steps: [1] },
    );
    const flat = b("reshape", { x: last, shape: b.dims([shape[0]!, shape[2]!]) });
    b.removeOutput("logits");
    b.output("logits", flat);
  },
});

/** Ops that treat each row of their first argument by itself: cutting rows before is the same, and cheaper. */
const rowwise = (
  ["nn.linear", "bitnet.linear", "nn.rms_norm", "nn.layer_norm"] as const satisfies readonly OpName[]
).map((op) =>
  rule<"inner">({
    name: `slice-before-${op}`,
    doc: `slice(${op}(x)) over rows → ${op}(slice(x))`,
    quiet: true,
    pattern(p) {
      const inner = p(op, {});
      return { root: p("slice", { x: inner }), inner };
    },
    rewrite(b, m) {
      const cut = m.root.node!;
      const rank = m.inner.type.shape.length;
      const axes = cut.attrs.axes as readonly number[];
      if (m.inner.users.size > 1 || axes.some((axis) => (axis + rank) % rank === rank - 1)) return undefined;
      const x = b.untyped("slice", { ...cut.args, x: m.inner.node!.arg("x") }, cut.attrs)[0] as Value;
      return b.untyped(op, { ...m.inner.node!.args, x }, m.inner.node!.attrs)[0];
    },
  }),
);

export const sinkSlices = rewritePass(
  "sink-slices",
  "Rows that are not needed are cut before they are computed.",
  rowwise,
);
