import { denseChunk } from "../../floats.ts";
import { defineKernel } from "../../kernel.ts";
import { laneArguments, teamReduction, teamSize } from "../../reduce.ts";
import type { Target } from "../../target.ts";
import { shader, wgslSize } from "../../wgsl.ts";
import { type DenseParams, denseBindings, denseResult } from "../dense.ts";

/** Bytes of x that lie in workgroup memory at once. */
const tileBytes = 12288;

/** How the work on a part is divided: `team` invocations share the sums of `teamColumns` columns at a time. */
function divide({ columns }: DenseParams, target: Target) {
  if (target.reduction === "serial") return { workgroupSize: 32, team: 1, teamColumns: 2 };
  const isLarge = columns >= 16384;
  return {
    workgroupSize: isLarge ? 256 : 128,
    team: teamSize(target, 16),
    teamColumns: isLarge ? 4 : 1,
  };
}

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

export const denseGemv = defineKernel<DenseParams>({
  name: "dense-gemv",
  doc: "nn.linear on a dense weight, or some rows of it, for a few rows of x (see DenseParams): each is one more reading of the weight. Sums in f32.",
  class: "matmul",
  supports: ({ rows }) =>
    typeof rows === "number" && rows > 65535 ? "a dispatch has 65535 rows at most" : undefined,
  build(params, target) {
    const { rows, rowOffset, depth, columns, outputFirst, outputColumns } = params;
    const { workgroupSize, team, teamColumns } = divide(params, target);
    const chunk = denseChunk(params.storage, depth, target);
    const chunks = depth / chunk.elements;
    const parts = chunk.parts("w0").length;
    const hasVectors = chunk.elements > 1;
    const type = hasVectors ? "vec4<f32>" : "f32";
    const dot = (a: string, b: string) => (hasVectors ? `dot(${a}, ${b})` : `${a} * ${b}`);
    const workgroupColumns = (workgroupSize / team) * teamColumns;
    const tileChunks = Math.min(chunks, Math.floor(tileBytes / (4 * chunk.elements)));

    const sums = range(teamColumns);
    const products = (x: (part: number) => string) => `
${sums.map((r) => `      let w${r} = chunk_at(row${r} + c);`).join("\n")}
${range(parts)
  .map((p) => `      let x${p} = ${x(p)};`)
  .join("\n")}
${sums
  .map((r) => {
    const terms = chunk.parts(`w${r}`).map((part, p) => dot(`x${p}`, part));
    return `      sum${r} += ${terms.join(" + ")};`;
  })
  .join("\n")}`;

    const alone = `
    for (var c = 0u; c < ${chunks}u; c++) {${products((p) => `x[x_first + c * ${parts}u + ${p}u]`)}
    }`;
    const together = `
    for (var tile = 0u; tile < ${chunks}u; tile += ${tileChunks}u) {
      let end = min(${tileChunks}u, ${chunks}u - tile);
      for (var i = local; i < end * ${parts}u; i += ${workgroupSize}u) {
        x_tile[i % ${parts}u * ${tileChunks}u + i / ${parts}u] = x[x_first + tile * ${parts}u + i];
      }
      workgroupBarrier();
      for (var at = member; at < end; at += ${team}u) {
      let c = tile + at;${products((p) => `x_tile[${p * tileChunks}u + at]`)}
      }
      ${tileChunks < chunks ? "workgroupBarrier();" : ""}
    }`;
    return shader(target, {
      bindings: denseBindings(params, chunk.type, hasVectors),
      workgroupSize,
      workgroups: [Math.ceil(columns / workgroupColumns), rows, 1],
      declarations: `${chunk.declarations}
${
  team === 1
    ? ""
    : // chunk c of x is at c, c + tileChunks, …: neighbours read neighbours
      `var<workgroup> x_tile: array<${type}, ${tileChunks * parts}>;\n${teamReduction(target, { name: "sum_team", type: "f32", combine: "add" }, team, workgroupSize)}`
}`,
      body: `
  let member = local % ${team}u;
  let column = (workgroup.x * ${workgroupSize / team}u + local / ${team}u) * ${teamColumns}u;
  let x_first = (${wgslSize(rowOffset)} + workgroup.y) * ${chunks * parts}u;
  let out_first = workgroup.y * ${outputColumns}u + ${outputFirst}u + column;
${sums
  .map((r) => `  let row${r} = min(column + ${r}u, ${columns - 1}u) * ${chunks}u;\n  var sum${r} = 0.0;`)
  .join("\n")}
  ${team === 1 ? alone : together}
${team === 1 ? "" : sums.map((r) => `  sum${r} = sum_team(sum${r}, ${laneArguments(target)});`).join("\n")}
  if (member == 0u) {
${sums
  .map(
    (r) =>
      `    if (column + ${r}u < ${columns}u) { out[out_first + ${r}u] = ${denseResult(params, `sum${r}`, `column + ${r}u`)}; }`,
  )
  .join("\n")}
  }`,
    });
  },
});
