import { packTernary } from "../../../../packing/index.ts";
import { gelu, relu2, silu } from "../../../../runtime/cpu/kernels/activation.ts";
import { bitnetKernels } from "../../../../runtime/cpu/kernels/bitnet.ts";
import { rmsNorm } from "../../../../runtime/cpu/kernels/normalization.ts";
import { symbol } from "../../../../tensor/dim.ts";
import type { TensorData } from "../../../../tensor/tensor.ts";
import { tensor } from "../../../../tensor/tensor.ts";
import { f32, randomFloats, randomIntegers, rubbish } from "../../case-data.ts";
import { defineCases, type Elements, type KernelBench, type KernelCase } from "../../kernel-case.ts";
import { exactlyNormed, tiedInputs } from "../row-cases.ts";
import {
  blocksOf,
  blockWords,
  type GateFunction,
  outputColumns,
  type TernaryEpilogue,
  type TernarySegment,
  weightRows,
} from "../ternary.ts";
import { type TernaryGemvParams, ternaryGemv } from "./kernel.ts";

interface Use {
  readonly name: string;
  readonly depth: number;
  readonly segments: readonly TernarySegment[];
  readonly tokens?: number;
  readonly activations?: TernaryGemvParams["activations"];
  readonly group?: number;
  readonly epilogue?: TernaryEpilogue;
  readonly eps?: number;
  readonly x?: (tokens: number, depth: number) => Float32Array<ArrayBuffer>;
  /** Of the output, in place of the one for plain sums. */
  readonly tolerance?: number;
}

/** Sums are thousands at the most, so that a sum that is off by one is off by far more than this. */
const sumTolerance = 1e-6;

const matrix = (rows: number, scale: TernarySegment["scale"] = "one", bias = false): TernarySegment => ({
  rows,
  scale,
  bias,
});

const scalesOf = ({ rows, scale }: TernarySegment, groups: number): number =>
  scale === "one" ? 1 : scale === "row" ? rows : rows * groups;

/** Every row of weights has codes, and a number of zeros, of its own. */
const codesOf = (segment: number, rows: number, depth: number): Int8Array<ArrayBuffer> => {
  const codes = Int8Array.from(randomIntegers(20 + segment, rows * depth, -1, 1));
  const chosen = randomIntegers(40 + segment, rows * depth, 0, 9);
  return codes.map((code, i) => (chosen[i]! < Math.floor(i / depth) % 7 ? 1 : code));
};

/** The codes of tq2_0 blocks without their scales. */
function packedCodes(codes: Int8Array, rows: number, depth: number): Uint8Array {
  const bytes = packTernary("tq2_0", codes, rows, depth);
  const blocks = rows * blocksOf(depth);
  const out = new Uint8Array(blocks * 64);
  for (let i = 0; i < blocks; i++) out.set(bytes.subarray(66 * i, 66 * i + 64), 64 * i);
  return out;
}

function caseOf(use: Use): KernelCase<TernaryGemvParams> {
  const { depth, segments, group = 0, eps } = use;
  const { tokens = 1, activations = "int8-per-token", epilogue = { kind: "store" } } = use;
  const params: TernaryGemvParams = {
    rows: symbol("S"),
    depth,
    segments,
    activations,
    group,
    epilogue,
    ...(eps !== undefined && { norm: { eps } }),
  };
  const groups = Math.ceil(depth / group);
  const columns = outputColumns(params);
  const biased = segments.reduce((sum, { rows, bias }) => sum + (bias ? rows : 0), 0);
  const inputs = (): Record<string, Elements> => {
    const weights = new Uint8Array(weightRows(params) * blocksOf(depth) * blockWords * 4);
    let at = 0;
    for (const [i, { rows }] of segments.entries()) {
      const part = packedCodes(codesOf(i, rows, depth), rows, depth);
      weights.set(part, at);
      at += part.length;
    }
    const scales = segments.flatMap((segment, i) => [
      ...randomFloats(60 + i, scalesOf(segment, groups)).map((w) => w * 0.2 + 0.5 + i),
    ]);
    return {
      x: use.x?.(tokens, depth) ?? randomFloats(depth, tokens * depth, 4),
      ...(eps !== undefined && { norm_scale: randomFloats(7, depth) }),
      weights: new Uint32Array(weights.buffer),
      scales: Float32Array.from(scales),
      ...(biased > 0 && { bias: randomFloats(8, biased, 30) }),
      ...(epilogue.kind === "residual" && { residual: randomFloats(9, tokens * columns, 30) }),
      out: rubbish(tokens * columns),
    };
  };
  return {
    name: `${use.name}: ${tokens} x ${depth} x ${segments.map(({ rows }) => rows).join(" + ")}`,
    params,
    symbols: { S: tokens },
    inputs,
    expected: (given) => {
      const x = f32(given.x!, tokens, depth);
      const input = eps === undefined ? x : rmsNorm({ x, scale: f32(given.norm_scale!, depth) }, { eps })[0]!;
      let [scaleAt, biasAt] = [0, 0];
      const products = segments.map((segment, i) => {
        const { rows, bias, scale } = segment;
        const count = scalesOf(segment, groups);
        const [result] = bitnetKernels["bitnet.linear"](
          {
            x: input,
            weight: { dtype: "i8", shape: [rows, depth], data: codesOf(i, rows, depth) },
            scale: f32(given.scales!.subarray(scaleAt, scaleAt + count) as Elements, count),
            bias: bias ? f32(given.bias!.subarray(biasAt, biasAt + rows) as Elements, rows) : undefined,
          },
          { activations, group: scale === "group" ? group : 0 },
        );
        scaleAt += count;
        if (bias) biasAt += rows;
        return result!.data;
      });
      const elements = new Float32Array(tokens * columns);
      for (let token = 0; token < tokens; token++)
        elements.set(finish(products, segments, token, epilogue, given.residual), token * columns);
      return { out: { elements, tolerance: use.tolerance ?? sumTolerance } };
    },
  };
}

/** A row of the output. */
function finish(
  products: readonly TensorData[],
  segments: readonly TernarySegment[],
  token: number,
  epilogue: TernaryEpilogue,
  residual: Elements | undefined,
): number[] {
  const rows = segments.map(({ rows }, i) => [
    ...(products[i] as Float32Array).subarray(token * rows, (token + 1) * rows),
  ]);
  if (epilogue.kind === "gate") {
    const gates = gate(epilogue.function, rows[0]!);
    return gates.map((value, i) => value * rows[1]![i]!);
  }
  const row = rows.flat();
  return epilogue.kind === "store" ? row : row.map((y, i) => y + residual![token * row.length + i]!);
}

function gate(name: GateFunction, values: readonly number[]): number[] {
  const x = tensor("f32", [values.length], values);
  if (name === "relu") return values.map((value) => Math.max(value, 0));
  const [result] =
    name === "relu2"
      ? relu2({ x }, {})
      : name === "silu"
        ? silu({ x }, {})
        : gelu({ x }, { approximate: name === "gelu" ? "none" : "tanh" });
  return [...(result!.data as Float32Array)];
}

const cases = [
  ...[1, 2, 3, 5, 9].map((tokens) => caseOf({ name: "tokens", tokens, depth: 256, segments: [matrix(67)] })),
  ...[3, 100, 300, 2560, 6912, 13000].map((depth) =>
    caseOf({ name: "depths", tokens: 2, depth, segments: [matrix(37)] }),
  ),
  ...[1, 2561].map((rows) => caseOf({ name: "rows", depth: 260, segments: [matrix(rows)] })),
  caseOf({
    name: "many rows, of which a team takes several",
    depth: 64,
    segments: [matrix(16501, "row")],
  }),
  caseOf({
    name: "zeros, tiny and huge inputs",
    tokens: 4,
    depth: 128,
    segments: [matrix(9)],
    x: (_, depth) => {
      const x = randomFloats(1, 4 * depth);
      return x.map((value, i) => value * [0, 1e-7, 1e-30, 1e30][Math.floor(i / depth)]!);
    },
  }),
  caseOf({ name: "huge inputs", depth: 128, segments: [matrix(9)], x: () => randomFloats(1, 128, 1e34) }),
  caseOf({ name: "tiny inputs", depth: 128, segments: [matrix(9)], x: () => randomFloats(1, 128, 1e-5) }),
  caseOf({ name: "ties", tokens: 6, depth: 512, segments: [matrix(40)], x: tiedInputs }),
  caseOf({
    name: "several matrices",
    tokens: 2,
    depth: 300,
    segments: [matrix(33), matrix(20, "row", true), matrix(7, "one", true), matrix(5)],
  }),
  caseOf({
    name: "residual",
    tokens: 3,
    depth: 768,
    segments: [matrix(100, "row", true)],
    epilogue: { kind: "residual" },
  }),
  ...(["relu2", "relu", "silu", "gelu", "gelu-tanh"] as const).flatMap((name) =>
    [8, 0.02].map((range) =>
      caseOf({
        name: `gate ${name} of inputs up to ${range}`,
        tokens: 2,
        depth: 260,
        segments: [matrix(71, "row", true), matrix(71)],
        epilogue: { kind: "gate", function: name },
        x: (tokens, depth) => randomFloats(2, tokens * depth, range),
      }),
    ),
  ),
  caseOf({
    name: "gate of many rows",
    depth: 64,
    segments: [matrix(16391), matrix(16391)],
    epilogue: { kind: "gate", function: "relu2" },
  }),
  ...[3, 20, 32, 128, 300].map((group) =>
    caseOf({
      name: `groups of ${group}`,
      tokens: 2,
      depth: 300,
      segments: [matrix(33, "group", true), matrix(20, "row"), matrix(9, "group")],
      group,
    }),
  ),
  caseOf({
    name: "groups of 128, gate",
    depth: 2560,
    segments: [matrix(40, "group"), matrix(40, "group")],
    group: 128,
    epilogue: { kind: "gate", function: "silu" },
  }),
  ...[301, 2560, 6912].map((depth) =>
    caseOf({
      name: "float",
      tokens: 2,
      depth,
      segments: [matrix(37, "row", true), matrix(5)],
      activations: "float",
      tolerance: 3e-6,
    }),
  ),
  ...[
    [1, 300],
    [4, 300],
    [64, 300],
    [128, 6900],
  ].map(([group, depth]) =>
    caseOf({
      name: `float, groups of ${group}`,
      depth: depth!,
      segments: [matrix(19, "group")],
      group: group!,
      activations: "float",
      tolerance: 3e-6,
    }),
  ),
  ...[301, 6912].map((depth) =>
    caseOf({
      name: "float with a norm",
      tokens: 2,
      depth,
      segments: [matrix(37)],
      activations: "float",
      eps: 1e-5,
      tolerance: 3e-6,
    }),
  ),
  ...[256, 6912].map((depth) =>
    caseOf({
      name: "exact norm",
      tokens: 2,
      depth,
      segments: [matrix(37)],
      eps: 0,
      x: exactlyNormed,
    }),
  ),
  // A norm that is rounded otherwise may move a code by one, and a sum with it.
  ...[301, 2560].map((depth) =>
    caseOf({
      name: "norm, residual",
      tokens: 2,
      depth,
      segments: [matrix(37)],
      epilogue: { kind: "residual" },
      eps: 1e-5,
      tolerance: 1e-3,
    }),
  ),
];

/** A linear of the 2.4 B model. */
function bench(
  name: string,
  depth: number,
  rows: readonly number[],
  epilogue: TernaryEpilogue,
): KernelBench<TernaryGemvParams> {
  const params: TernaryGemvParams = {
    rows: 1,
    depth,
    segments: rows.map((count) => matrix(count)),
    activations: "int8-per-token",
    group: 0,
    epilogue,
    norm: { eps: 1e-5 },
  };
  const out = 4 * outputColumns(params);
  const weights = weightRows(params) * blocksOf(depth) * blockWords * 4;
  return {
    name: `${name} ${rows.join(" + ")} x ${depth}`,
    params,
    sizes: {
      x: 4 * depth,
      norm_scale: 4 * depth,
      weights,
      scales: 4 * rows.length,
      ...(epilogue.kind === "residual" && { residual: out }),
      out,
    },
    bytes: weights + 8 * depth + out * (epilogue.kind === "residual" ? 2 : 1),
    operations: weightRows(params) * depth,
  };
}

export const ternaryGemvCases = defineCases({
  kernel: ternaryGemv,
  cases,
  benches: [
    bench("qkv", 2560, [2560, 640, 640], { kind: "store" }),
    bench("o", 2560, [2560], { kind: "residual" }),
    bench("gate and up", 2560, [6912, 6912], { kind: "gate", function: "relu2" }),
    bench("down", 6912, [2560], { kind: "residual" }),
    bench("small o", 256, [256], { kind: "residual" }),
    bench("small gate and up", 256, [768, 768], { kind: "gate", function: "relu2" }),
    bench("small down", 768, [256], { kind: "residual" }),
  ],
});
