import { reshapeTo, sliceAxis } from "../../ir/shorthand.ts";
import { inputNamed } from "../decoder.ts";
import { definePass } from "../pass.ts";
import { rewritePass, rule } from "../rule.ts";

/** Generation needs the logits of the last position only: [1, V] instead of [1, S, V]. */
export const selectLogits = definePass({
  name: "select-logits",
  doc: "With --logits last, the program returns the logits of the last token.",
  run(graph, { options }) {
    const logits = graph.outputs.find(({ name }) => name === "logits")?.value;
    const shape = logits?.type.shape;
    const isDecoder = inputNamed(graph, "tokens") !== undefined;
    if (options.logits === "all" || logits === undefined || shape?.length !== 3 || !isDecoder) return;
    const b = graph.edit("select-logits");
    const last = sliceAxis(b, logits, 1, -1, shape[1]!);
    const flat = reshapeTo(b, last, [shape[0]!, shape[2]!]);
    b.removeOutput("logits");
    b.output("logits", flat);
  },
});

/** The cap that some models put on their logits. */
const rowwiseFactor = (["mul", "div"] as const).map((op) =>
  rule({
    name: `slice-before-${op}`,
    doc: `slice(${op}(x, number)) → ${op}(slice(x), number)`,
    quiet: true,
    pattern(p) {
      const [x, c] = [p.any(), p.scalar()];
      const inner = p(op, { a: x, b: c });
      return { root: p("slice", { x: inner }), x, c, inner };
    },
    rewrite(b, m) {
      if (m.isShared(m.inner)) return undefined;
      const cut = m.root.node!;
      return b(op, { a: b.untyped("slice", { ...cut.args, x: m.x }, cut.attrs)[0]!, b: m.c });
    },
  }),
);

/** For ops that treat rows one by one, cutting rows before is the same as after, and cheaper. */
const rowwise = rule({
  name: "slice-before-rowwise",
  doc: "slice(op(x)) over rows → op(slice(x)), for an op that treats rows one by one",
  quiet: true,
  pattern(p) {
    const inner = p.any();
    return { root: p("slice", { x: inner }), inner };
  },
  rewrite(b, m) {
    const cut = m.root.node!;
    const { node } = m.inner;
    const flow = node?.def.rowwise;
    const rank = m.inner.type.shape.length;
    const axes = cut.attrs.axes as readonly number[];
    const cutsLast = axes.some((axis) => (axis + rank) % rank === rank - 1);
    if (node?.results.length !== 1 || flow === undefined || cutsLast || m.isShared(m.inner)) return undefined;
    const x = b.untyped("slice", { ...cut.args, x: node.arg(flow) }, cut.attrs)[0]!;
    return b.untyped(node.op, { ...node.args, [flow]: x }, node.attrs)[0];
  },
});

export const sinkSlices = rewritePass(
  "sink-slices",
  "Rows that are not needed are cut before they are computed.",
  [rowwise, ...rowwiseFactor],
);
