import * as diagnostics from "../../diagnostics.ts";
import type { Diagnostic } from "../../errors.ts";
import type { Architecture } from "./architectures.ts";

type Fields = Readonly<Record<string, unknown>>;

const isUnset = (value: unknown): boolean =>
  value === undefined || value === null || value === false || value === 0;
const isUnsetOrOne = (value: unknown): boolean => isUnset(value) || value === 1;
const isEmpty = (value: unknown): boolean => isUnset(value) || (Array.isArray(value) && value.length === 0);

interface Rule {
  readonly fields: readonly string[];
  /** Whether the field, as it stands, changes nothing. */
  readonly isHarmless: (value: unknown, config: Fields, architecture: Architecture) => boolean;
  readonly why: string;
}

/**
 * Fields that change what a decoder computes, in ways that the graph built here does not follow. Other unknown
 * fields describe training, sampling or the file itself.
 */
const rules: readonly Rule[] = [
  {
    fields: ["sliding_window"],
    // Qwen3's class reads the window only where use_sliding_window is set
    isHarmless: (value, config, { hasHeadNorms }) =>
      isUnset(value) ||
      config.use_sliding_window === false ||
      (hasHeadNorms && isUnset(config.use_sliding_window)),
    why: "every layer attends to all positions",
  },
  {
    fields: ["layer_types"],
    isHarmless: (value) =>
      isUnset(value) || (Array.isArray(value) && value.every((type) => type === "full_attention")),
    why: "every layer attends to all positions",
  },
  {
    fields: ["num_experts", "num_local_experts", "n_routed_experts"],
    isHarmless: isUnset,
    why: "mixtures of experts are not supported",
  },
  { fields: ["mlp_only_layers"], isHarmless: isEmpty, why: "mixtures of experts are not supported" },
  {
    fields: ["attn_logit_softcapping", "final_logit_softcapping"],
    isHarmless: isUnset,
    why: "logits are not capped",
  },
  {
    fields: ["partial_rotary_factor", "rotary_pct"],
    isHarmless: isUnsetOrOne,
    why: "only whole heads are rotated",
  },
  {
    fields: ["rope_interleaved", "rotary_interleaved"],
    isHarmless: isUnset,
    why: "the halves of a head are rotated, not neighbouring elements",
  },
  { fields: ["no_rope_layers"], isHarmless: isEmpty, why: "every layer rotates its queries and keys" },
  { fields: ["alibi"], isHarmless: isUnset, why: "positions enter by rotation only" },
  { fields: ["clip_qkv"], isHarmless: isUnset, why: "projections are not clipped" },
  {
    fields: ["qk_norm", "use_qk_norm"],
    isHarmless: (value, _, { hasHeadNorms }) => hasHeadNorms || isUnset(value),
    why: "this architecture does not normalise queries and keys",
  },
  {
    fields: ["embedding_multiplier", "scale_emb", "residual_multiplier", "logits_scaling", "logit_scale"],
    isHarmless: isUnsetOrOne,
    why: "embeddings, residuals and logits are not scaled",
  },
  {
    fields: ["attention_multiplier", "query_pre_attn_scalar"],
    isHarmless: isUnset,
    why: "attention is scaled by the square root of the head size",
  },
  {
    fields: ["use_parallel_residual", "parallel_attn"],
    isHarmless: isUnset,
    why: "attention and the feed-forward part follow each other",
  },
  { fields: ["use_bidirectional_attention"], isHarmless: isUnset, why: "attention is causal" },
  { fields: ["is_causal"], isHarmless: (value) => value !== false, why: "attention is causal" },
  {
    fields: ["weight_bits"],
    isHarmless: (value, _, { impliedQuantization }) =>
      impliedQuantization === undefined || isUnsetOrOne(value),
    why: "this architecture's weights are ternary, which it calls 1 bit",
  },
  {
    fields: ["input_bits"],
    isHarmless: (value, _, { impliedQuantization }) =>
      impliedQuantization === undefined || isUnset(value) || value === 8,
    why: "activations are quantised to 8 bits",
  },
];

/** One entry for each field of config.json that asks for something the graph would not do. */
export const unsupportedFields = (config: Fields, architecture: Architecture): readonly Diagnostic[] =>
  rules.flatMap(({ fields, isHarmless, why }) =>
    fields
      .filter((field) => !isHarmless(config[field], config, architecture))
      .map((field) =>
        diagnostics.checkpointField(field, `it is ${JSON.stringify(config[field])}, but ${why}`),
      ),
  );
