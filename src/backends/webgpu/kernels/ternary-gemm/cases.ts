import { relu2, silu } from "../../../../runtime/cpu/kernels/activation.ts";
import { quantizeRow } from "../../../../runtime/cpu/kernels/quantize.ts";
import { symbol } from "../../../../tensor/dim.ts";
import { f32, randomFloats, randomIntegers, rubbish } from "../../case-data.ts";
import { defineCases, type Elements, type KernelBench, type KernelCase } from "../../kernel-case.ts";
import type { Target } from "../../target.ts";
import {
  blocksOf,
  blockWeights,
  blockWords,
  outputColumns,
  type TernaryParams,
  type TernarySegment,
  weightRows,
} from "../ternary.ts";
import { ternaryGemm } from "./kernel.ts";

type Inputs = Readonly<Record<string, Elements>>;

const matrix = (rows: number, scale: TernarySegment["scale"] = "one", bias = false): TernarySegment => ({
  rows,
  scale,
  bias,
});

const store = { kind: "store" } as const;
const gate = (name: keyof typeof gates) => ({ kind: "gate", function: name }) as const;
const gates = { relu2, silu };

interface Use extends Omit<Partial<TernaryParams>, "rows"> {
  readonly name: string;
  readonly tokens: number;
  readonly depth: number;
  readonly segments: readonly TernarySegment[];
  /** Scales of 1, so that the results are the sums, which are compared exactly. */
  readonly isExact?: boolean;
  readonly on?: (target: Target) => boolean;
}

/** One target with tiles, those that compile fastest, and one without: what most cases are about is the same in all. */
const once = ({ reduction, packedDot }: Target): boolean => reduction === "serial" || !packedDot;

function caseOf({ name, tokens, isExact = false, on = once, ...rest }: Use): KernelCase<TernaryParams> {
  const params: TernaryParams = {
    activations: "int8-per-token",
    group: 0,
    epilogue: store,
    ...rest,
    rows: symbol("S", 512, 1),
  };
  return {
    name: `${name}: ${tokens} x ${params.depth} x ${params.segments.map(({ rows }) => rows).join(" + ")}`,
    params,
    symbols: { S: tokens },
    on,
    inputs: () => inputsOf(params, tokens, isExact),
    expected: (inputs) => ({
      out: {
        elements: product(params, tokens, inputs),
        ...(!isExact && { tolerance: params.activations === "float" ? 3e-6 : 1e-6 }),
      },
    }),
  };
}

function inputsOf(params: TernaryParams, tokens: number, isExact: boolean): Inputs {
  const { depth, segments, activations, epilogue } = params;
  const rows = weightRows(params);
  const x = randomFloats(1, tokens * depth, 3);
  const scaleCount = segments.reduce((sum, segment) => sum + scalesOf(params, segment), 0);
  const scales = randomFloats(3, scaleCount).map((value) => 0.02 + Math.abs(value));
  const biases = segments.reduce((sum, segment) => sum + (segment.bias ? segment.rows : 0), 0);
  const size = tokens * outputColumns(params);
  return {
    weights: ternaryCodes(2, rows, depth),
    scales: isExact ? scales.fill(1) : scales,
    bias: randomFloats(4, biases),
    ...(activations === "float" ? { x } : quantized(x, tokens, depth, isExact)),
    ...(epilogue.kind === "residual" && { residual: randomFloats(5, size) }),
    out: rubbish(size),
  };
}

const scalesPerRow = ({ depth, group }: TernaryParams, { scale }: TernarySegment): number =>
  scale === "group" ? Math.ceil(depth / group) : 1;
const scalesOf = (params: TernaryParams, segment: TernarySegment): number =>
  segment.scale === "one" ? 1 : segment.rows * scalesPerRow(params, segment);

/** Weights of which a tenth are 1 and a third are -1, with rows of nothing but 1 or -1 among them. */
function ternaryCodes(seed: number, rows: number, depth: number): Uint32Array<ArrayBuffer> {
  const dice = randomIntegers(seed, rows * depth, 0, 29);
  const words = new Uint32Array(rows * blocksOf(depth) * blockWords).fill(0x55555555);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < depth; k++) {
      const die = dice[row * depth + k]!;
      const code = row % 16 === 3 ? 2 : row % 16 === 5 ? 0 : die < 3 ? 2 : die < 13 ? 0 : 1;
      const { word, shift } = placeOfWeight(depth, row, k);
      words[word] = (words[word]! & ~(3 << shift)) | (code << shift);
    }
  }
  return words;
}

/** Where the code of a weight lies, as `TernaryParams` says. */
function placeOfWeight(depth: number, row: number, k: number): { word: number; shift: number } {
  const block = Math.floor(k / blockWeights);
  const [half, lane, m] = [Math.floor(k / 128) % 2, Math.floor(k / 32) % 4, k % 32];
  const byte = 32 * half + m;
  return {
    word: (row * blocksOf(depth) + block) * blockWords + Math.floor(byte / 4),
    shift: 8 * (byte % 4) + 2 * lane,
  };
}

/** What the kernel quantize-rows makes of activations; row 0 has nothing but its largest code. */
function quantized(x: Float32Array<ArrayBuffer>, tokens: number, depth: number, isExact: boolean): Inputs {
  x.fill(-3, 0, depth);
  const stride = blocksOf(depth) * blockWeights;
  const codes = new Int8Array(tokens * stride);
  const values = new Float32Array(depth);
  const scales = new Float32Array(tokens);
  for (let token = 0; token < tokens; token++) {
    scales[token] = quantizeRow(x, token * depth, depth, values, 0);
    codes.set(values, token * stride);
  }
  return { codes: new Uint32Array(codes.buffer), row_scales: isExact ? scales.fill(1) : scales };
}

/** The kernel's results by its definition. */
function product(params: TernaryParams, tokens: number, inputs: Inputs): Float32Array<ArrayBuffer> {
  const { depth, segments, activations, epilogue } = params;
  const isQuantized = activations === "int8-per-token";
  const stride = isQuantized ? blocksOf(depth) * blockWeights : depth;
  const x = isQuantized ? new Int8Array(inputs.codes!.buffer) : inputs.x!;
  const columns = weightRows(params);
  const products = new Float32Array(tokens * columns);
  const row = new Float64Array(depth);
  let [column, scaleFrom, biasFrom] = [0, 0, 0];
  for (const segment of segments) {
    const isGrouped = segment.scale === "group";
    const group = isGrouped ? params.group : depth;
    const scales = inputs.scales!.subarray(scaleFrom);
    for (let n = 0; n < segment.rows; n++, column++) {
      for (let k = 0; k < depth; k++) {
        const { word, shift } = placeOfWeight(depth, column, k);
        row[k] = ((inputs.weights![word]! >>> shift) & 3) - 1;
      }
      const scaleAt = segment.scale === "one" ? 0 : n * scalesPerRow(params, segment);
      for (let token = 0; token < tokens; token++) {
        let sum = 0;
        for (let from = 0, g = 0; from < depth; from += group, g++) {
          let part = 0;
          for (let k = from; k < Math.min(from + group, depth); k++) part += x[token * stride + k]! * row[k]!;
          sum += isGrouped ? part * scales[scaleAt + g]! : part;
        }
        const scale = isGrouped ? 1 : scales[scaleAt]!;
        const y = isQuantized
          ? sum / Math.fround(inputs.row_scales![token]! * Math.fround(1 / scale))
          : sum * scale;
        const bias = segment.bias ? inputs.bias![biasFrom + n]! : 0;
        products[token * columns + column] = Math.fround(y) + bias;
      }
    }
    scaleFrom += scalesOf(params, segment);
    if (segment.bias) biasFrom += segment.rows;
  }
  if (epilogue.kind === "residual") return products.map((value, i) => value + inputs.residual![i]!);
  return epilogue.kind === "gate"
    ? gated(epilogue.function as keyof typeof gates, tokens, columns / 2, products)
    : products;
}

/** f(gate) · up of rows of which the first half is gate. */
function gated(
  name: keyof typeof gates,
  tokens: number,
  columns: number,
  products: Float32Array<ArrayBuffer>,
): Float32Array<ArrayBuffer> {
  const values = gates[name]({ x: f32(products, products.length) }, {})[0]!.data;
  return Float32Array.from({ length: tokens * columns }, (_, i) => {
    const at = Math.floor(i / columns) * 2 * columns + (i % columns);
    return values[at]! * products[at + columns]!;
  });
}

const everywhere = (): boolean => true;

const cases = [
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 33, 65, 130].map((tokens) =>
    caseOf({ name: "sums", tokens, depth: 300, segments: [matrix(67)], isExact: true, on: everywhere }),
  ),
  ...[100, 256, 2560].map((depth) =>
    caseOf({ name: "sums", tokens: 9, depth, segments: [matrix(7)], isExact: true }),
  ),
  caseOf({
    name: "scales and biases",
    tokens: 33,
    depth: 300,
    segments: [matrix(70, "row", true), matrix(7), matrix(1, "one", true), matrix(63, "row")],
  }),
  caseOf({
    name: "residual",
    tokens: 65,
    depth: 256,
    segments: [matrix(67, "one", true)],
    epilogue: { kind: "residual" },
  }),
  caseOf({
    name: "gate",
    tokens: 67,
    depth: 300,
    segments: [matrix(71), matrix(71)],
    epilogue: gate("relu2"),
    on: everywhere,
  }),
  caseOf({
    name: "gate with scales of rows",
    tokens: 9,
    depth: 100,
    segments: [matrix(33, "row"), matrix(33, "row", true)],
    epilogue: gate("silu"),
  }),
  ...[32, 128, 256, 36, 30].map((group) =>
    caseOf({
      name: `groups of ${group}`,
      tokens: 9,
      depth: 600,
      segments: [matrix(35, "group", true), matrix(6, "row"), matrix(4, "group")],
      group,
    }),
  ),
  caseOf({
    name: "float",
    tokens: 65,
    depth: 300,
    segments: [matrix(67, "row", true), matrix(6)],
    activations: "float",
  }),
  caseOf({
    name: "float, odd depth",
    tokens: 9,
    depth: 131,
    segments: [matrix(7)],
    activations: "float",
    epilogue: { kind: "residual" },
  }),
  ...[64, 36, 30].map((group) =>
    caseOf({
      name: `float, groups of ${group}`,
      tokens: 9,
      depth: 256,
      segments: [matrix(33, "group"), matrix(33, "group")],
      activations: "float",
      group,
      epilogue: gate("silu"),
    }),
  ),
];

function benchOf(name: string, depth: number, rows: number, isGate: boolean): KernelBench<TernaryParams> {
  const tokens = 512;
  const columns = isGate ? rows / 2 : rows;
  const sizes = {
    weights: rows * blocksOf(depth) * blockWords * 4,
    scales: 8,
    codes: tokens * blocksOf(depth) * blockWeights,
    row_scales: tokens * 4,
    out: tokens * columns * 4,
  };
  return {
    name: `${name}, ${tokens} x ${depth} x ${rows}`,
    params: {
      rows: symbol("S", 512, 1),
      depth,
      segments: isGate ? [matrix(columns), matrix(columns)] : [matrix(rows)],
      activations: "int8-per-token",
      group: 0,
      epilogue: isGate ? gate("relu2") : store,
    },
    symbols: { S: tokens },
    sizes,
    bytes: Object.values(sizes).reduce((sum, size) => sum + size, 0),
    operations: tokens * depth * rows,
  };
}

export const ternaryGemmCases = defineCases({
  kernel: ternaryGemm,
  cases,
  benches: [
    benchOf("q, k, v", 2560, 3840, false),
    benchOf("o", 2560, 2560, false),
    benchOf("gate, up", 2560, 13824, true),
    benchOf("down", 6912, 2560, false),
  ],
});
