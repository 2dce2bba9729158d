import { sameShape } from "../../ir/type.ts";
import { perm } from "../canonical/simplify-movement.ts";
import { rewritePass, rule } from "../rule.ts";

/** An axis of size 1 may stand anywhere; it stays where the result has it, so that only others are moved. */
const unitAxesInPlace = rule({
  name: "unit-axes-in-place",
  doc: "A transpose that moves axes of size 1 too → one that leaves them where they are",
  quiet: true,
  pattern(p) {
    const x = p.any();
    return { root: p("transpose", { x }), x };
  },
  rewrite(b, m) {
    const after = m.root.type.shape;
    const moved = m.x.type.shape.flatMap((size, axis) => (size === 1 ? [] : [axis]));
    const sources = after.map((size) => (size === 1 ? undefined : moved.shift()!));
    const from = sources.map((axis) => (axis === undefined ? 1 : m.x.type.shape[axis]!));
    if (sameShape(from, m.x.type.shape)) return undefined;
    const target = perm(m.root).map((axis, i) => (after[i] === 1 ? i : sources.indexOf(axis)));
    return b("transpose", { x: b("reshape", { x: m.x, shape: b.dims(from) }) }, { perm: target });
  },
});

export const settleUnitAxes = rewritePass("settle-unit-axes", "Transposes move only axes that have a size.", [
  unitAxesInPlace,
]);
