import * as diagnostics from "../../diagnostics.ts";
import { type Node, type Value, weightKindsOf } from "../../ir/graph.ts";
import { analyseTernary, ternaryCodes, ternaryScale } from "../../ir/ternary.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { definePass } from "../pass.ts";
import { reportOf } from "../rule.ts";

/**
 * Turns linears whose weight is ternary into `bitnet.linear`. The values decide, not where they come from:
 * a stored {-1, 0, 1}, a stored {-s, 0, s}, an absmean chain over master weights, unpacking arithmetic over
 * bytes and a 2-bit MatMulNBits all end up here as a matrix of at most three magnitudes.
 */
export const recogniseTernary = definePass({
  name: "recognise-ternary",
  doc: "nn.linear with a weight of {-s, 0, s} → bitnet.linear with int8 codes and a scale.",
  async run(graph, context) {
    const report = reportOf(context, "ternary-linear");
    const b = graph.edit("ternary-linear");
    const byWeight = new Map<Value, Node[]>();
    for (const node of graph.nodes) {
      if (node.op !== "nn.linear") continue;
      const weight = node.arg("weight");
      byWeight.set(weight, [...(byWeight.get(weight) ?? []), node]);
    }
    for (const [weight, users] of byWeight) {
      if (weight.def.kind !== "const" || !isFloat(weight.type.dtype) || isAlsoTable(weight)) continue;
      const facts = await analyseTernary(weight.def.data);
      if ("miss" in facts) {
        report.misses.push({ why: facts.miss, at: placeOf(users) });
        continue;
      }
      if (facts.zeros === 1) context.report(diagnostics.weightAllZero(placeOf(users)));
      const codes = b.constant(ternaryCodes(weight.def.data));
      const scale = b.constant(ternaryScale(weight.def.data, facts));
      for (const node of users) {
        const bias = node.optional("bias");
        const linear = b(
          "bitnet.linear",
          { x: node.arg("x"), weight: codes, scale, bias },
          { activations: "float", group: facts.group },
        );
        b.replace(node.results[0]!, linear);
        report.matched++;
      }
    }
  },
});

/** A head that shares its matrix with the embedding keeps it as it is. */
const isAlsoTable = (weight: Value): boolean => weightKindsOf(weight).has("embedding");

const placeOf = (nodes: readonly Node[]): string => nodes[0]!.loc.source;
