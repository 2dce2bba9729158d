import { lines, lowest, type VectorWidth, vectorType, vectorWidth } from "../../attention.ts";
import { defineKernel } from "../../kernel.ts";
import { shader } from "../../wgsl.ts";
import { type AttentionDecodeParams, partialWidth, splitStatements } from "../attention-decode/params.ts";

/** Those of the `attention-decode` whose partial results these are. */
export type AttentionCombineParams = Pick<
  AttentionDecodeParams,
  "start" | "window" | "chunk" | "queryHeads" | "valueWidth"
>;

const mostThreads = 256;
/** Partial results that an invocation loads before it uses the first. */
const together = 4;

export const attentionCombine = defineKernel<AttentionCombineParams>({
  name: "attention-combine",
  doc: "Joins what attention-decode made of each part of the positions: partials value f32 [splits, Hq, Dv + 4] → out value f32 [Hq · Dv], Σ sums · e^(largest - m) / Σ totals · e^(largest - m) with m the largest of all.",
  class: "attention",
  build: (params, target) => {
    const { queryHeads, valueWidth } = params;
    const vector: VectorWidth = vectorWidth(valueWidth) === 4 ? 4 : 1;
    const type = vectorType(vector);
    const columns = valueWidth / vector;
    const groups =
      target.reduction === "serial" ? 1 : Math.max(1, Math.min(16, Math.floor(mostThreads / columns)));
    const rowUnits = partialWidth(valueWidth) / vector;
    const statistics = (row: string): string =>
      vector === 4
        ? `partials[${row} + ${columns}u].xy`
        : `vec2<f32>(partials[${row} + ${columns}u], partials[${row} + ${columns + 1}u])`;
    const result = `out[workgroup.x * ${columns}u + column] = total / weight;`;
    return shader(target, {
      bindings: {
        partials: { type: `array<${type}>`, access: "value" },
        out: { type: `array<${type}>`, access: "value" },
      },
      workgroupSize: columns * groups,
      workgroups: [queryHeads, 1, 1],
      declarations:
        groups === 1
          ? ""
          : `var<workgroup> sums: array<${type}, ${columns * groups}>;
var<workgroup> scales: array<vec2<f32>, ${groups}>;`,
      body: `
  let column = local % ${columns}u;
  let group = local / ${columns}u;
  ${splitStatements(params)}
  var largest = ${lowest};
  var weight = 0.0;
  var total = ${type}();
  for (var i = group; i < splits; i += ${groups * together}u) {
    ${lines(
      together,
      (j) => `var sum_${j} = ${type}();
    var of_${j} = vec2<f32>(${lowest}, 0.0);
    if (i + ${j * groups}u < splits) {
      let row = ((i + ${j * groups}u) * ${queryHeads}u + workgroup.x) * ${rowUnits}u;
      sum_${j} = partials[row + column];
      of_${j} = ${statistics("row")};
    }`,
    )}
    var next = largest;
    ${lines(together, (j) => `next = max(next, of_${j}.x);`)}
    let rescale = exp(largest - next);
    weight *= rescale;
    total *= rescale;
    ${lines(
      together,
      (j) => `let scale_${j} = select(0.0, exp(of_${j}.x - next), of_${j}.y > 0.0);
    weight += of_${j}.y * scale_${j};
    total += sum_${j} * scale_${j};`,
    )}
    largest = next;
  }
  ${
    groups === 1
      ? result
      : `sums[local] = total;
  if (column == 0u) { scales[group] = vec2<f32>(largest, weight); }
  workgroupBarrier();
  if (group > 0u) { return; }
  for (var g = 1u; g < ${groups}u; g++) { largest = max(largest, scales[g].x); }
  total = ${type}();
  weight = 0.0;
  for (var g = 0u; g < ${groups}u; g++) {
    let scale = select(0.0, exp(scales[g].x - largest), scales[g].y > 0.0);
    weight += scales[g].y * scale;
    total += sums[g * ${columns}u + column] * scale;
  }
  ${result}`
  }`,
    });
  },
});
