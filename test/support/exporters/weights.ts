import { type Tensor, tensor } from "../../../src/tensor/tensor.ts";

/** A linear layer: y = x · (weight · scale)ᵀ + bias. */
export interface Linear {
  /** f32 [N, K]; -1, 0 and 1 where there is a scale. */
  readonly weight: Tensor;
  /** One number, or one for each output. */
  readonly scale?: number | readonly number[];
  readonly bias?: Tensor;
}

/** f32 [1] or [N]: the scale of a ternary layer as a tensor. */
export const scaleTensor = ({ scale }: Linear): Tensor => {
  const values = typeof scale === "number" ? [scale] : [...scale!];
  return tensor("f32", [values.length], values);
};

export interface Layer {
  readonly q: Linear;
  readonly k: Linear;
  readonly v: Linear;
  readonly o: Linear;
  readonly gate: Linear;
  readonly up: Linear;
  readonly down: Linear;
  readonly inputNorm: Tensor;
  readonly postNorm: Tensor;
  /** BitNet's norms in front of `o` and `down`. */
  readonly attentionSubNorm?: Tensor;
  readonly mlpSubNorm?: Tensor;
  /** Qwen3's norms of each head. */
  readonly qNorm?: Tensor;
  readonly kNorm?: Tensor;
}

export interface LlamaConfig {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly headDim: number;
  /** Elements of a head that are rotated. */
  readonly rotaryDim: number;
  readonly ffn: number;
  readonly vocab: number;
  /** Rows of position tables. */
  readonly positions: number;
  readonly eps: number;
  readonly theta: number;
  readonly activation: "silu" | "relu2" | "gelu";
  readonly isTernary: boolean;
  readonly hasQkvBias: boolean;
  readonly hasHeadNorms: boolean;
  readonly hasSubNorms: boolean;
  readonly isTied: boolean;
}

export const llamaConfig: LlamaConfig = {
  layers: 2,
  hidden: 64,
  heads: 4,
  keyHeads: 2,
  headDim: 16,
  rotaryDim: 16,
  ffn: 96,
  vocab: 67,
  positions: 48,
  eps: 1e-5,
  theta: 10000,
  activation: "silu",
  isTernary: false,
  hasQkvBias: false,
  hasHeadNorms: false,
  hasSubNorms: false,
  isTied: false,
};

export interface LlamaWeights {
  readonly config: LlamaConfig;
  /** f32 [V, hidden] */
  readonly embedding: Tensor;
  /** f32 [V, hidden]; the embedding itself if it is tied. */
  readonly head: Tensor;
  readonly norm: Tensor;
  readonly layers: readonly Layer[];
}

/** Numbers that look random, the same each time. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** Uniform from 0 to 1 (Steele and Vigna's SplitMix, 32 bits). */
  next(): number {
    this.#state = (this.#state + 0x9e3779b9) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return ((z ^ (z >>> 15)) >>> 0) / 2 ** 32;
  }

  /** f32, uniform from -spread to spread around `centre`. */
  floats(shape: readonly number[], spread: number, centre = 0): Tensor {
    const count = shape.reduce((n, size) => n * size, 1);
    return tensor(
      "f32",
      shape,
      Array.from({ length: count }, () => centre + (this.next() * 2 - 1) * spread),
    );
  }

  /** f32 of -1, 0 and 1. */
  ternary(shape: readonly number[]): Tensor {
    const count = shape.reduce((n, size) => n * size, 1);
    return tensor(
      "f32",
      shape,
      Array.from({ length: count }, () => Math.floor(this.next() * 3) - 1),
    );
  }
}

export function llamaWeights(changes: Partial<LlamaConfig> = {}, seed = 1): LlamaWeights {
  const config = { ...llamaConfig, ...changes };
  const random = new Random(seed);
  const { hidden, heads, keyHeads, headDim, ffn, vocab } = config;
  const norm = (size: number): Tensor => random.floats([size], 0.3, 1);
  /** Scales that bf16 holds, so that they are the same in every float type. */
  const scales = [0.03125, 0.0390625, 0.046875, 0.0546875];
  const linear = (outputs: number, inputs: number, hasBias = false): Linear => ({
    ...(config.isTernary
      ? {
          weight: random.ternary([outputs, inputs]),
          scale: scales[Math.floor(random.next() * 4)]! * (8 / Math.sqrt(inputs)) * 4,
        }
      : { weight: random.floats([outputs, inputs], 3 / Math.sqrt(inputs)) }),
    ...(hasBias && { bias: random.floats([outputs], 0.3) }),
  });
  const embedding = random.floats([vocab, hidden], 1);
  const layers = Array.from(
    { length: config.layers },
    (): Layer => ({
      q: linear(heads * headDim, hidden, config.hasQkvBias),
      k: linear(keyHeads * headDim, hidden, config.hasQkvBias),
      v: linear(keyHeads * headDim, hidden, config.hasQkvBias),
      o: linear(hidden, heads * headDim),
      gate: linear(ffn, hidden),
      up: linear(ffn, hidden),
      down: linear(hidden, ffn),
      inputNorm: norm(hidden),
      postNorm: norm(hidden),
      ...(config.hasSubNorms && { attentionSubNorm: norm(heads * headDim), mlpSubNorm: norm(ffn) }),
      ...(config.hasHeadNorms && { qNorm: norm(headDim), kNorm: norm(headDim) }),
    }),
  );
  return {
    config,
    embedding,
    head: config.isTied ? embedding : random.floats([vocab, hidden], 0.5),
    norm: norm(hidden),
    layers,
  };
}

/** The transposed matrix, as MatMul takes it. */
export function transposed({ dtype, shape, data }: Tensor): Tensor {
  const [rows, columns] = shape as readonly [number, number];
  const out = data.slice();
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c]!;
  return { dtype, shape: [columns, rows], data: out };
}

/** f32 [positions, R/2] cos and sin of position · theta^(-2i/R). */
export function rotaryTables({ positions, rotaryDim, theta }: LlamaConfig): { cos: Tensor; sin: Tensor } {
  const half = rotaryDim / 2;
  const angles = Array.from({ length: positions * half }, (_, i) =>
    Math.fround(Math.floor(i / half) * Math.fround(theta ** ((-2 * (i % half)) / rotaryDim))),
  );
  const table = (f: (angle: number) => number): Tensor => tensor("f32", [positions, half], angles.map(f));
  return { cos: table(Math.cos), sin: table(Math.sin) };
}

/** f32 [R/2] theta^(-2i/R) */
export const inverseFrequencies = ({ rotaryDim, theta }: LlamaConfig): readonly number[] =>
  Array.from({ length: rotaryDim / 2 }, (_, i) => theta ** ((-2 * i) / rotaryDim));
