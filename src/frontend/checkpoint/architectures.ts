import type { QuantizationConfig } from "./config.ts";

/** What sets one decoder architecture apart from the others, by the class name in config.json. */
export interface Architecture {
  readonly name: string;
  /** Values of fields that config.json may leave out, from the class in transformers. */
  readonly defaults: {
    readonly activation: "silu" | "relu2";
    readonly normEps: number;
    readonly ropeTheta: number;
    /** Undefined: hidden size / heads. */
    readonly headDim?: number;
  };
  /** A norm over the concatenated heads before o_proj, relative to the layer. */
  readonly attentionSubNorm?: string;
  /** A norm over the gated product before down_proj, relative to the layer. */
  readonly mlpSubNorm?: string;
  /** Queries and keys are normalised head by head, before the rotation. */
  readonly hasHeadNorms: boolean;
  /** How the class quantises its linears when config.json has no quantization_config. */
  readonly impliedQuantization?: QuantizationConfig;
}

export const architectures: readonly Architecture[] = [
  {
    name: "BitNetForCausalLM",
    defaults: { activation: "relu2", normEps: 1e-5, ropeTheta: 500000 },
    attentionSubNorm: "self_attn.attn_sub_norm",
    mlpSubNorm: "mlp.ffn_sub_norm",
    hasHeadNorms: false,
  },
  {
    // 1bitLLM's reproduction of BitNet b1.58: master weights, quantised by the modeling code itself
    name: "BitnetForCausalLM",
    defaults: { activation: "silu", normEps: 1e-6, ropeTheta: 10000 },
    attentionSubNorm: "self_attn.inner_attn_ln",
    mlpSubNorm: "mlp.ffn_layernorm",
    hasHeadNorms: false,
    impliedQuantization: { linearClass: "autobitlinear", mode: "online", excluded: [] },
  },
  {
    name: "LlamaForCausalLM",
    defaults: { activation: "silu", normEps: 1e-6, ropeTheta: 10000 },
    hasHeadNorms: false,
  },
  {
    name: "Qwen3ForCausalLM",
    defaults: { activation: "silu", normEps: 1e-6, ropeTheta: 10000, headDim: 128 },
    hasHeadNorms: true,
  },
];

/** Class names for configs that give their model_type only. */
export const architectureOfModelType: Readonly<Record<string, string>> = {
  bitnet: "BitNetForCausalLM",
  llama: "LlamaForCausalLM",
  qwen3: "Qwen3ForCausalLM",
};
