import { randomNumbers, type TestTensor, type TestTensors } from "./write-checkpoint.ts";

/**
 * A decoder written once more from the published formulas,
 * with nothing in common with the importer: no cache, no graph, f64 wherever the formula does not round.
 */
export interface NaiveLinear {
  /** Rows of effective weights, or of codes. */
  readonly rows: readonly (readonly number[])[];
  /** Given for quantised linears: what Σ code · q / s is multiplied with. */
  readonly scale?: number;
  readonly bias?: readonly number[];
  readonly inputNorm?: { readonly scale: readonly number[]; readonly eps: number };
}
type Norm = readonly number[];
export interface NaiveLayer {
  readonly linears: Readonly<Record<"q" | "k" | "v" | "o" | "gate" | "up" | "down", NaiveLinear>>;
  readonly inputNorm: Norm;
  readonly postNorm: Norm;
  readonly qNorm?: Norm;
  readonly kNorm?: Norm;
  readonly attentionSubNorm?: Norm;
  readonly mlpSubNorm?: Norm;
}
export interface NaiveDecoder {
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly headDim: number;
  readonly eps: number;
  readonly inverseFrequencies: readonly number[];
  readonly activation: (x: number) => number;
  readonly embedding: readonly (readonly number[])[];
  readonly layers: readonly NaiveLayer[];
  readonly norm: Norm;
  readonly head: NaiveLinear;
}

const dot = (a: readonly number[], b: readonly number[]): number =>
  a.reduce((sum, x, i) => sum + x * b[i]!, 0);

function rmsNorm(x: readonly number[], scale: Norm, eps: number): number[] {
  const mean = dot(x, x) / x.length;
  return x.map((value, i) => (value / Math.sqrt(mean + eps)) * scale[i]!);
}

function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

function linear({ rows, scale, bias, inputNorm }: NaiveLinear, input: readonly number[]): number[] {
  const x = inputNorm ? rmsNorm(input, inputNorm.scale, inputNorm.eps) : input;
  let out: number[];
  if (scale === undefined) {
    out = rows.map((row) => dot(row, x));
  } else {
    const s = 127 / Math.max(...x.map(Math.abs), 1e-5);
    const q = x.map((value) => Math.min(127, Math.max(-128, roundHalfEven(value * s))));
    out = rows.map((row) => (dot(row, q) * scale) / s);
  }
  return bias ? out.map((value, i) => value + bias[i]!) : out;
}

function rotate(x: readonly number[], position: number, frequencies: readonly number[]): number[] {
  const half = frequencies.length;
  return x.map((value, i) => {
    const angle = position * frequencies[i % half]!;
    const partner = i < half ? -x[i + half]! : x[i - half]!;
    return value * Math.cos(angle) + partner * Math.sin(angle);
  });
}

const headOf = (x: readonly number[], head: number, size: number): readonly number[] =>
  x.slice(head * size, (head + 1) * size);

/** Logits of every position. */
export function naiveLogits(model: NaiveDecoder, ids: readonly number[]): number[][] {
  const { headDim, heads, keyValueHeads, eps } = model;
  let stream = ids.map((id) => [...model.embedding[id]!]);
  for (const layer of model.layers) {
    const { q, k, v, o, gate, up, down } = layer.linears;
    const normed = stream.map((x) => rmsNorm(x, layer.inputNorm, eps));
    const keys = normed.map((x) => linear(k, x));
    const values = normed.map((x) => linear(v, x));
    const prepared = (
      x: readonly number[],
      head: number,
      norm: Norm | undefined,
      position: number,
    ): number[] => {
      const one = headOf(x, head, headDim);
      return rotate(norm ? rmsNorm(one, norm, eps) : one, position, model.inverseFrequencies);
    };
    stream = stream.map((residual, position) => {
      const queries = linear(q, normed[position]!);
      let mixed: number[] = [];
      for (let head = 0; head < heads; head++) {
        const group = Math.floor(head / (heads / keyValueHeads));
        const query = prepared(queries, head, layer.qNorm, position);
        const scores = keys
          .slice(0, position + 1)
          .map((key, at) => dot(query, prepared(key, group, layer.kNorm, at)) / Math.sqrt(headDim));
        const max = Math.max(...scores);
        const weights = scores.map((score) => Math.exp(score - max));
        const sum = weights.reduce((a, b) => a + b);
        const mix = Array.from({ length: headDim }, (_, i) =>
          weights.reduce(
            (total, weight, at) => total + (weight / sum) * headOf(values[at]!, group, headDim)[i]!,
            0,
          ),
        );
        mixed = [...mixed, ...mix];
      }
      const sub = layer.attentionSubNorm ? rmsNorm(mixed, layer.attentionSubNorm, eps) : mixed;
      const attended = linear(o, sub).map((value, i) => residual[i]! + value);
      const post = rmsNorm(attended, layer.postNorm, eps);
      const ups = linear(up, post);
      const product = linear(gate, post).map((value, i) => model.activation(value) * ups[i]!);
      const scaled = layer.mlpSubNorm ? rmsNorm(product, layer.mlpSubNorm, eps) : product;
      return linear(down, scaled).map((value, i) => attended[i]! + value);
    });
  }
  return stream.map((x) => linear(model.head, rmsNorm(x, model.norm, eps)));
}

/** How the tensors of one linear lie in a file, and what it computes. */
export interface StoredLinear {
  /** By the rest of the name after the module's: `weight`, `weight_scale`, `bias`. */
  readonly tensors: TestTensors;
  readonly linear: NaiveLinear;
}

const { fround } = Math;
/** A number with the 8 significant bits of bf16, so that no type rounds it. */
const short = (x: number): number => {
  if (x === 0) return 0;
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(x))) - 7);
  return Math.round(x / unit) * unit;
};

/** Makes linears in every form of storage. */
export class LinearMaker {
  readonly next: () => number;
  constructor(seed: number) {
    this.next = randomNumbers(seed);
  }
  numbers(count: number, spread = 1): number[] {
    return Array.from({ length: count }, () => short((this.next() - 0.5) * 2 * spread));
  }
  /** Values around 1, as norms have. */
  norm(size: number): number[] {
    return this.numbers(size, 0.5).map((x) => short(1 + x));
  }
  matrix(rows: number, columns: number, spread = 1): number[][] {
    return Array.from({ length: rows }, () => this.numbers(columns, spread));
  }
  codes(rows: number, columns: number): number[][] {
    return Array.from({ length: rows }, () =>
      Array.from({ length: columns }, () => Math.floor(this.next() * 3) - 1),
    );
  }

  dense(outputs: number, inputs: number): StoredLinear {
    const rows = this.matrix(outputs, inputs, inputs ** -0.5);
    return { tensors: { weight: float(rows) }, linear: { rows } };
  }

  /** Packed along the outputs in four blocks, with the scale as a factor or as a divisor. */
  packed(outputs: number, inputs: number, direction: "multiply" | "divide"): StoredLinear {
    const rows = this.codes(outputs, inputs);
    const stored = direction === "multiply" ? short(0.0625 + this.next() / 8) : short(8 + this.next() * 8);
    const quarter = outputs / 4;
    const bytes = Array.from({ length: quarter * inputs }, (_, at) => {
      const [r, c] = [Math.floor(at / inputs), at % inputs];
      return [0, 1, 2, 3].reduce((byte, lane) => byte + (rows[r + lane * quarter]![c]! + 1) * 4 ** lane, 0);
    });
    return {
      tensors: {
        weight: { dtype: "u8", shape: [quarter, inputs], data: bytes },
        weight_scale: { dtype: "bf16", shape: [1], data: [stored] },
      },
      linear: { rows, scale: direction === "multiply" ? stored : 1 / stored },
    };
  }

  /** Full-precision weights that the model rounds by their mean magnitude. */
  master(outputs: number, inputs: number): StoredLinear {
    const weights = this.matrix(outputs, inputs, 0.1);
    const all = weights.flat();
    const s = fround(1 / Math.max(fround(all.reduce((sum, x) => sum + Math.abs(x), 0) / all.length), 1e-5));
    const rows = weights.map((row) =>
      row.map((x) => Math.max(-1, Math.min(1, roundHalfEven(fround(x * s))))),
    );
    return { tensors: { weight: float(weights) }, linear: { rows, scale: fround(1 / s) } };
  }

  /** Adds the norm that some models have in front of each quantised linear. */
  withInputNorm(stored: StoredLinear, name: "rms_norm" | "norm", eps: number): StoredLinear {
    const scale = this.norm(stored.linear.rows[0]!.length);
    return {
      tensors: { ...stored.tensors, [`${name}.weight`]: vector(scale) },
      linear: { ...stored.linear, inputNorm: { scale, eps } },
    };
  }

  withBias(stored: StoredLinear, factor = 1): StoredLinear {
    const bias = this.numbers(stored.linear.rows.length);
    return {
      tensors: { ...stored.tensors, bias: vector(bias) },
      linear: { ...stored.linear, bias: bias.map((x) => x * factor) },
    };
  }
}

export const float = (rows: readonly (readonly number[])[]): TestTensor => ({
  dtype: "bf16",
  shape: [rows.length, rows[0]!.length],
  data: rows.flat(),
});
export const vector = (data: readonly number[]): TestTensor => ({
  dtype: "bf16",
  shape: [data.length],
  data,
});
