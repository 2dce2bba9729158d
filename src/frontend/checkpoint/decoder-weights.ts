import * as diagnostics from "../../diagnostics.ts";
import type { Diagnostic } from "../../errors.ts";
import type { WeightRef } from "../../ir/weights.ts";
import type { DecoderConfig } from "./config.ts";
import type { LinearReader, LinearWeights } from "./linear.ts";
import type { StoredTensor } from "./safetensors.ts";
import { type CheckpointTensors, sameSizes } from "./tensors.ts";

/** A norm's name and its scale, f32. */
export interface NormWeights {
  readonly name: string;
  readonly scale: WeightRef;
}

export interface LayerWeights {
  /** `model.layers.0` */
  readonly name: string;
  readonly inputNorm: NormWeights;
  readonly query: LinearWeights;
  readonly key: LinearWeights;
  readonly value: LinearWeights;
  readonly queryNorm?: NormWeights;
  readonly keyNorm?: NormWeights;
  readonly attentionSubNorm?: NormWeights;
  readonly output: LinearWeights;
  readonly postNorm: NormWeights;
  readonly gate: LinearWeights;
  readonly up: LinearWeights;
  readonly mlpSubNorm?: NormWeights;
  readonly down: LinearWeights;
}

export interface DecoderWeights {
  /** f32 [V, hidden] */
  readonly embedding: WeightRef;
  readonly embeddingName: string;
  readonly layers: readonly LayerWeights[];
  readonly norm: NormWeights;
  /** Undefined: the embedding serves as the head. */
  readonly head: LinearWeights | undefined;
}

const headName = "lm_head";

/** Finds every constant of a decoder. What is missing or misshaped is noted in the tensors' faults. */
export async function readDecoderWeights(
  tensors: CheckpointTensors,
  config: DecoderConfig,
  linears: LinearReader,
  warn: (warning: Diagnostic) => void,
): Promise<DecoderWeights> {
  const { hiddenSize, vocabSize } = config;
  const embeddingName = `${tensors.prefix}embed_tokens`;
  const embedding = await tensors.float(`${embeddingName}.weight`, [vocabSize, hiddenSize]);
  const layers: LayerWeights[] = [];
  for (let layer = 0; layer < config.layers; layer++)
    layers.push(await readLayer(tensors, config, linears, `${tensors.prefix}layers.${layer}`));
  const norm = await readNorm(tensors, `${tensors.prefix}norm`, hiddenSize);
  const isShared = await usesEmbeddingAsHead(tensors, config, `${embeddingName}.weight`, warn);
  const head = isShared
    ? undefined
    : await linears.head({ name: headName, outputs: vocabSize, inputs: hiddenSize, hasBias: false });
  return { embedding, embeddingName, layers, norm, head };
}

async function readNorm(tensors: CheckpointTensors, name: string, size: number): Promise<NormWeights> {
  return { name, scale: await tensors.float(`${name}.weight`, [size]) };
}

async function readLayer(
  tensors: CheckpointTensors,
  config: DecoderConfig,
  linears: LinearReader,
  name: string,
): Promise<LayerWeights> {
  const { architecture, hiddenSize, intermediateSize, headDim, hasAttentionBias, hasMlpBias } = config;
  const queries = config.heads * headDim;
  const keys = config.keyValueHeads * headDim;
  const linear = (part: string, outputs: number, inputs: number, hasBias: boolean): Promise<LinearWeights> =>
    linears.projection({ name: `${name}.${part}`, outputs, inputs, hasBias });
  const norm = (part: string, size: number): Promise<NormWeights> =>
    readNorm(tensors, `${name}.${part}`, size);
  return {
    name,
    inputNorm: await norm("input_layernorm", hiddenSize),
    query: await linear("self_attn.q_proj", queries, hiddenSize, hasAttentionBias),
    key: await linear("self_attn.k_proj", keys, hiddenSize, hasAttentionBias),
    value: await linear("self_attn.v_proj", keys, hiddenSize, hasAttentionBias),
    ...(architecture.hasHeadNorms && {
      queryNorm: await norm("self_attn.q_norm", headDim),
      keyNorm: await norm("self_attn.k_norm", headDim),
    }),
    ...(architecture.attentionSubNorm !== undefined && {
      attentionSubNorm: await norm(architecture.attentionSubNorm, queries),
    }),
    output: await linear("self_attn.o_proj", hiddenSize, queries, hasAttentionBias),
    postNorm: await norm("post_attention_layernorm", hiddenSize),
    gate: await linear("mlp.gate_proj", intermediateSize, hiddenSize, hasMlpBias),
    up: await linear("mlp.up_proj", intermediateSize, hiddenSize, hasMlpBias),
    ...(architecture.mlpSubNorm !== undefined && {
      mlpSubNorm: await norm(architecture.mlpSubNorm, intermediateSize),
    }),
    down: await linear("mlp.down_proj", hiddenSize, intermediateSize, hasMlpBias),
  };
}

/** Whether the head is the embedding: a head of its own in the file wins over what config.json says. */
async function usesEmbeddingAsHead(
  tensors: CheckpointTensors,
  config: DecoderConfig,
  embeddingName: string,
  warn: (warning: Diagnostic) => void,
): Promise<boolean> {
  const name = `${headName}.weight`;
  if (!tensors.has(name)) {
    if (config.isTied === undefined) warn(diagnostics.headAssumedTied());
    return config.isTied !== false;
  }
  if (config.isTied !== true) return false;
  const [head, embedding] = [tensors.take(name), tensors.take(embeddingName)];
  if (head && embedding && (await isSameTensor(head, embedding))) return true;
  warn(diagnostics.headNotTied());
  return false;
}

async function isSameTensor(a: StoredTensor, b: StoredTensor): Promise<boolean> {
  if (a.dtype !== b.dtype || !sameSizes(a.shape, b.shape)) return false;
  const step = 1 << 22;
  for (let from = 0; from < a.bytes.size; from += step) {
    const to = Math.min(a.bytes.size, from + step);
    const [x, y] = await Promise.all([a.bytes.read(from, to), b.bytes.read(from, to)]);
    if (x.some((byte, i) => byte !== y[i])) return false;
  }
  return true;
}
