import {
  float,
  LinearMaker,
  type NaiveDecoder,
  type NaiveLayer,
  type StoredLinear,
  vector,
} from "./naive-decoder.ts";
import type { TestTensor } from "./write-checkpoint.ts";

export const sizes = { vocab: 48, hidden: 32, ffn: 64, layers: 2, heads: 4, keyValueHeads: 2, positions: 16 };

/** The fields that every architecture's config.json has. */
export const baseConfig = {
  vocab_size: sizes.vocab,
  hidden_size: sizes.hidden,
  intermediate_size: sizes.ffn,
  num_hidden_layers: sizes.layers,
  num_attention_heads: sizes.heads,
  num_key_value_heads: sizes.keyValueHeads,
  max_position_embeddings: sizes.positions,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  bos_token_id: 0,
  eos_token_id: 1,
};

export interface TinyOptions {
  /** Any will do whose int8 codes all lie further from a half than f32 and f64 arithmetic differ. */
  readonly seed: number;
  /** Makes each projection's storage. */
  readonly linear: (make: LinearMaker, outputs: number, inputs: number, module: string) => StoredLinear;
  readonly activation: (x: number) => number;
  readonly headDim?: number;
  readonly ffn?: number;
  readonly tied?: boolean;
  readonly subNorms?: { readonly attention: string; readonly mlp: string };
  readonly headNorms?: boolean;
  readonly prefix?: string;
  readonly theta?: number;
  readonly inverseFrequencies?: readonly number[];
}

export const silu = (x: number): number => x / (1 + Math.exp(-x));
export const relu2 = (x: number): number => Math.max(x, 0) ** 2;

/** A random model: its tensors, and the same as plain numbers. */
export function tinyModel(options: TinyOptions): {
  tensors: Record<string, TestTensor>;
  model: NaiveDecoder;
} {
  const { hidden, heads, keyValueHeads, vocab } = sizes;
  const { headDim = hidden / heads, ffn = sizes.ffn, prefix = "model.", theta = 10000 } = options;
  const make = new LinearMaker(options.seed);
  const tensors: Record<string, TestTensor> = {};
  const norm = (name: string, size: number): number[] => {
    const scale = make.norm(size);
    tensors[`${prefix}${name}.weight`] = vector(scale);
    return scale;
  };
  const linear = (name: string, outputs: number, inputs: number) => {
    const stored = options.linear(make, outputs, inputs, prefix + name);
    for (const [rest, tensor] of Object.entries(stored.tensors)) tensors[`${prefix}${name}.${rest}`] = tensor;
    return stored.linear;
  };
  const embedding = make.matrix(vocab, hidden);
  tensors[`${prefix}embed_tokens.weight`] = float(embedding);
  const layers = Array.from({ length: sizes.layers }, (_, layer): NaiveLayer => {
    const at = `layers.${layer}`;
    return {
      linears: {
        q: linear(`${at}.self_attn.q_proj`, heads * headDim, hidden),
        k: linear(`${at}.self_attn.k_proj`, keyValueHeads * headDim, hidden),
        v: linear(`${at}.self_attn.v_proj`, keyValueHeads * headDim, hidden),
        o: linear(`${at}.self_attn.o_proj`, hidden, heads * headDim),
        gate: linear(`${at}.mlp.gate_proj`, ffn, hidden),
        up: linear(`${at}.mlp.up_proj`, ffn, hidden),
        down: linear(`${at}.mlp.down_proj`, hidden, ffn),
      },
      inputNorm: norm(`${at}.input_layernorm`, hidden),
      postNorm: norm(`${at}.post_attention_layernorm`, hidden),
      ...(options.subNorms && {
        attentionSubNorm: norm(`${at}.${options.subNorms.attention}`, heads * headDim),
        mlpSubNorm: norm(`${at}.${options.subNorms.mlp}`, ffn),
      }),
      ...(options.headNorms && {
        qNorm: norm(`${at}.self_attn.q_norm`, headDim),
        kNorm: norm(`${at}.self_attn.k_norm`, headDim),
      }),
    };
  });
  const finalNorm = norm("norm", hidden);
  let head = { rows: embedding };
  if (options.tied === false) {
    head = { rows: make.matrix(vocab, hidden, 0.3) };
    tensors["lm_head.weight"] = float(head.rows);
  }
  const inverseFrequencies =
    options.inverseFrequencies ??
    Array.from({ length: headDim / 2 }, (_, i) => theta ** ((-2 * i) / headDim));
  const { activation } = options;
  const model = {
    heads,
    keyValueHeads,
    headDim,
    eps: 1e-5,
    inverseFrequencies,
    activation,
    embedding,
    layers,
    norm: finalNorm,
    head,
  };
  return { tensors, model };
}
