import { ceilDivideDims } from "../../../../tensor/dim.ts";
import { denseChunk } from "../../floats.ts";
import { defineKernel, type KernelCode } from "../../kernel.ts";
import type { Target } from "../../target.ts";
import { shader, wgslSize } from "../../wgsl.ts";
import { type DenseParams, denseBindings, denseResult } from "../dense.ts";

export const denseGemm = defineKernel<DenseParams>({
  name: "dense-gemm",
  doc: "nn.linear on a dense weight, or some rows of it, for many rows of x (see DenseParams): a workgroup computes a tile of out. Products and sums in f32.",
  class: "matmul",
  build: (params, target) => (target.reduction === "serial" ? strips(params, target) : tiles(params, target)),
});

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
const lines = (count: number, line: (i: number) => string): string => range(count).map(line).join("\n");

const tileSide = 64;
/** Each invocation has a square of sums: every 16th row and every 16th column of a tile. */
const side = 4;
const spread = tileSide / side;
/** Four elements along K each. */
const tileQuads = 4;
/** Quads from one row of a tile to the next, odd so that neighbouring rows lie in different memory banks. */
const pitch = tileQuads + 1;

/** Tiles of x and of the weight pass through workgroup memory; each invocation loads one quad of either. */
function tiles(params: DenseParams, target: Target): KernelCode {
  const { rows, rowOffset, depth, columns, outputFirst, outputColumns } = params;
  const chunk = denseChunk(params.storage, depth, target, 4);
  const hasQuads = chunk.elements === 4;
  const quads = Math.ceil(depth / 4);
  const element = (load: (k: string) => string) =>
    range(4)
      .map(
        (i) => `select(0.0, ${load(`min(4u * quad + ${i}u, ${depth - 1}u)`)}, 4u * quad + ${i}u < ${depth}u)`,
      )
      .join(", ");
  return shader(target, {
    bindings: denseBindings(params, chunk.type, hasQuads),
    workgroupSize: spread * spread,
    workgroups: [Math.ceil(columns / tileSide), ceilDivideDims(rows, tileSide), 1],
    declarations: `${chunk.declarations}
var<workgroup> left: array<vec4<f32>, ${tileSide * pitch}>;
var<workgroup> right: array<vec4<f32>, ${tileSide * pitch}>;
fn left_quad(row: u32, quad: u32) -> vec4<f32> {
  ${hasQuads ? `return x[row * ${quads}u + quad];` : `return vec4<f32>(${element((k) => `x[row * ${depth}u + ${k}]`)});`}
}
fn right_quad(column: u32, quad: u32) -> vec4<f32> {
  ${
    hasQuads
      ? `let loaded = chunk_at(column * ${quads}u + quad);\n  return ${chunk.parts("loaded")[0]};`
      : `return vec4<f32>(${element((k) => `chunk_at(column * ${depth}u + ${k})`)});`
  }
}`,
    body: `
  let rows = ${wgslSize(rows)};
  let first_row = workgroup.y * ${tileSide}u;
  let first_column = workgroup.x * ${tileSide}u;
  let load_at = local / ${tileQuads}u * ${pitch}u + local % ${tileQuads}u;
  let load_row = ${wgslSize(rowOffset)} + min(first_row + local / ${tileQuads}u, rows - 1u);
  let load_column = min(first_column + local / ${tileQuads}u, ${columns - 1}u);
  let y = local / ${spread}u;
  let z = local % ${spread}u;
${lines(side * side, (i) => `  var sum${Math.floor(i / side)}${i % side} = 0.0;`)}
  for (var tile = 0u; tile < ${quads}u; tile += ${tileQuads}u) {
    let quad = tile + local % ${tileQuads}u;
    var a = vec4<f32>();
    var b = vec4<f32>();
    if (quad < ${quads}u) {
      a = left_quad(load_row, quad);
      b = right_quad(load_column, quad);
    }
    workgroupBarrier();
    left[load_at] = a;
    right[load_at] = b;
    workgroupBarrier();
    for (var k = 0u; k < ${tileQuads}u; k++) {
${lines(side, (i) => `      let a${i} = left[(y + ${spread * i}u) * ${pitch}u + k];`)}
${lines(side, (i) => `      let b${i} = right[(z + ${spread * i}u) * ${pitch}u + k];`)}
${lines(side * side, (at) => {
  const [i, j] = [Math.floor(at / side), at % side];
  const products = [..."xyzw"].map((c) => `sum${i}${j} = fma(a${i}.${c}, b${j}.${c}, sum${i}${j});`);
  return `      ${products.join(" ")}`;
})}
    }
  }
${lines(side * side, (at) => {
  const [i, j] = [Math.floor(at / side), at % side];
  const [row, column] = [`first_row + y + ${spread * i}u`, `first_column + z + ${spread * j}u`];
  return `  if (${row} < rows && ${column} < ${columns}u) { out[(${row}) * ${outputColumns}u + ${outputFirst}u + ${column}] = ${denseResult(params, `sum${i}${j}`, `${column}`)}; }`;
})}`,
  });
}

/** An invocation has the sums of so many rows and so many columns, so that what it loads serves several of them. */
const stripRows = 4;
const stripColumns = 4;
const stripSize = 16;

/** No memory is shared: an invocation has some rows of some columns. */
function strips(params: DenseParams, target: Target): KernelCode {
  const { rows, rowOffset, depth, columns, outputFirst, outputColumns } = params;
  const chunk = denseChunk(params.storage, depth, target, 4);
  const hasQuads = chunk.elements === 4;
  const chunks = depth / chunk.elements;
  const sums = (line: (i: number, j: number) => string) =>
    lines(stripRows * stripColumns, (at) => line(Math.floor(at / stripColumns), at % stripColumns));
  return shader(target, {
    bindings: denseBindings(params, chunk.type, hasQuads),
    workgroupSize: stripSize,
    workgroups: [Math.ceil(columns / (stripSize * stripColumns)), ceilDivideDims(rows, stripRows), 1],
    declarations: chunk.declarations,
    body: `
  let rows = ${wgslSize(rows)};
  let first_row = workgroup.y * ${stripRows}u;
  let first_column = (workgroup.x * ${stripSize}u + local) * ${stripColumns}u;
${lines(stripRows, (i) => `  let x_first${i} = (${wgslSize(rowOffset)} + min(first_row + ${i}u, rows - 1u)) * ${chunks}u;`)}
${lines(stripColumns, (j) => `  let w_first${j} = min(first_column + ${j}u, ${columns - 1}u) * ${chunks}u;`)}
${sums((i, j) => `  var sum${i}${j} = 0.0;`)}
  for (var c = 0u; c < ${chunks}u; c++) {
${lines(stripRows, (i) => `    let x${i} = x[x_first${i} + c];`)}
${lines(stripColumns, (j) => `    let loaded${j} = chunk_at(w_first${j} + c);\n    let w${j} = ${chunk.parts(`loaded${j}`)[0]};`)}
${sums((i, j) => `    sum${i}${j} += ${hasQuads ? `dot(x${i}, w${j})` : `x${i} * w${j}`};`)}
  }
${sums((i, j) => {
  const [row, column] = [`first_row + ${i}u`, `first_column + ${j}u`];
  return `  if (${row} < rows && ${column} < ${columns}u) { out[(${row}) * ${outputColumns}u + ${outputFirst}u + ${column}] = ${denseResult(params, `sum${i}${j}`, column)}; }`;
})}`,
  });
}
