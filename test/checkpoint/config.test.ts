import { describe, expect, it } from "vitest";
import type { Diagnostic } from "../../src/errors.ts";
import { type DecoderConfig, isExcluded, readConfig } from "../../src/frontend/checkpoint/config.ts";
import { inverseFrequencies } from "../../src/frontend/checkpoint/rope.ts";
import { memoryFiles } from "../../src/tensor/source.ts";
import { json, text } from "./write-checkpoint.ts";

async function read(config: object | string) {
  const faults: Diagnostic[] = [];
  const bytes = typeof config === "string" ? text(config) : json(config);
  const read = await readConfig(memoryFiles("model", { "config.json": bytes }), faults);
  return { config: read, faults };
}

async function valid(config: object | string): Promise<DecoderConfig> {
  const { config: read_, faults } = await read(config);
  expect(faults).toEqual([]);
  return read_!;
}

/** Codes and the text of what is wrong. */
async function faultsOf(config: object | string): Promise<string> {
  const { config: read_, faults } = await read(config);
  expect(read_).toBeUndefined();
  return faults.map(({ code, message }) => `${code}: ${message}`).join("\n");
}

const llama = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  vocab_size: 100,
  hidden_size: 64,
  intermediate_size: 128,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  max_position_embeddings: 32,
};

describe("dialects of config.json", () => {
  it("fills in what a class leaves out", async () => {
    expect(await valid(llama)).toEqual({
      architecture: expect.objectContaining({ name: "LlamaForCausalLM" }),
      vocabSize: 100,
      hiddenSize: 64,
      intermediateSize: 128,
      layers: 2,
      heads: 4,
      keyValueHeads: 4,
      headDim: 16,
      maxPositions: 32,
      normEps: 1e-6,
      activation: "silu",
      hasAttentionBias: false,
      hasMlpBias: false,
      isTied: undefined,
      rope: { theta: 10000, scaling: { type: "default" } },
      quantization: undefined,
      activations: "float",
    });
    const bitnet = await valid({ ...llama, architectures: undefined, model_type: "bitnet" });
    expect(bitnet).toMatchObject({ normEps: 1e-5, activation: "relu2", rope: { theta: 500000 } });
    const qwen3 = await valid({ ...llama, architectures: ["Qwen3ForCausalLM"] });
    expect(qwen3.headDim).toBe(128);
  });

  it("finds theta and the scaling at the top, in rope_scaling or in rope_parameters", async () => {
    const rope = async (fields: object) => (await valid({ ...llama, ...fields })).rope;
    expect(await rope({ rope_theta: 1000042, rope_scaling: null })).toEqual({
      theta: 1000042,
      scaling: { type: "default" },
    });
    expect(await rope({ rope_parameters: { rope_theta: 500000.0, rope_type: "default" } })).toEqual({
      theta: 500000,
      scaling: { type: "default" },
    });
    expect(await rope({ rope_theta: 7, rope_scaling: { type: "linear", factor: 2 } })).toEqual({
      theta: 7,
      scaling: { type: "linear", factor: 2 },
    });
    const llama3 = { rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 };
    expect(await rope({ rope_scaling: { ...llama3, original_max_position_embeddings: 8192 } })).toEqual({
      theta: 10000,
      scaling: {
        type: "llama3",
        factor: 8,
        lowFrequencyFactor: 1,
        highFrequencyFactor: 4,
        originalPositions: 8192,
      },
    });
  });

  it("takes the last of two quantization_config in one object", async () => {
    const body = JSON.stringify({
      ...llama,
      quantization_config: { quant_method: "bitnet", linear_class: "autobitlinear" },
    });
    const twice = `${body.slice(0, -1)},"quantization_config":{"quant_method":"bitnet"}}`;
    const { quantization } = await valid(twice);
    expect(quantization).toEqual({ linearClass: "bitlinear", mode: "offline", excluded: [] });
  });

  it("reads the whole quantization_config", async () => {
    const { quantization } = await valid({
      ...llama,
      quantization_config: {
        quant_method: "bitnet",
        linear_class: "autobitlinear",
        quantization_mode: "online",
        modules_to_not_convert: ["lm_head", "model.layers.1", "mlp.up_proj"],
        use_rms_norm: true,
        something_new: 1,
      },
    });
    expect(quantization).toMatchObject({ linearClass: "autobitlinear", mode: "online", inputNormEps: 1e-6 });
    const excluded = (name: string) => isExcluded(quantization!, name);
    expect(excluded("lm_head")).toBe(true);
    expect(excluded("model.layers.1.self_attn.q_proj")).toBe(true);
    expect(excluded("model.layers.0.mlp.up_proj")).toBe(true);
    expect(excluded("model.layers.10.self_attn.q_proj")).toBe(false);
    expect(excluded("model.layers.0.mlp.gate_up_proj")).toBe(false);
  });

  it("knows the functions by all their names", async () => {
    const activation = async (name: string) => (await valid({ ...llama, hidden_act: name })).activation;
    expect(await activation("swish")).toBe("silu");
    expect(await activation("gelu_pytorch_tanh")).toBe("gelu_tanh");
    expect(await activation("relu2")).toBe("relu2");
  });

  it("ignores fields that say nothing about the computation", async () => {
    await valid({
      ...llama,
      torch_dtype: "bfloat16",
      dtype: "bfloat16",
      auto_map: { AutoConfig: "x.Y" },
      attention_dropout: 0.1,
      is_bitnet_config: true,
      pretraining_tp: 1,
      rope_interleaved: false,
      use_cache: true,
      sliding_window: null,
      quantization_config: null,
      layer_types: ["full_attention", "full_attention"],
    });
    const qwen3 = { ...llama, architectures: ["Qwen3ForCausalLM"], head_dim: 16, sliding_window: 4096 };
    await valid({ ...qwen3, use_sliding_window: false });
    await valid(qwen3);
  });
});

describe("what config.json asks for and is not supported", () => {
  it.each([
    [{ sliding_window: 4096 }, "sliding_window"],
    [{ sliding_window: 4096, use_sliding_window: true }, "sliding_window"],
    [{ layer_types: ["full_attention", "sliding_attention"] }, "layer_types"],
    [{ num_experts: 8 }, "num_experts"],
    [{ mlp_only_layers: [1] }, "mlp_only_layers"],
    [{ attn_logit_softcapping: 50 }, "attn_logit_softcapping"],
    [{ final_logit_softcapping: 30 }, "final_logit_softcapping"],
    [{ partial_rotary_factor: 0.5 }, "partial_rotary_factor"],
    [{ rope_parameters: { rope_type: "default", partial_rotary_factor: 0.25 } }, "partial_rotary_factor"],
    [{ rope_interleaved: true }, "rope_interleaved"],
    [
      { rope_scaling: { rope_type: "yarn", factor: 4 } },
      'rope_scaling.rope_type asks for what is not supported: "yarn"',
    ],
    [{ rope_parameters: { full_attention: { rope_theta: 1 } } }, "rope_parameters"],
    [{ use_qk_norm: true }, "use_qk_norm"],
    [{ embedding_multiplier: 12 }, "embedding_multiplier"],
    [{ architectures: ["BitnetForCausalLM"], weight_bits: 2 }, "weight_bits"],
    [{ architectures: ["BitnetForCausalLM"], input_bits: 4 }, "input_bits"],
  ])("refuses %j", async (fields, name) => {
    const message = await faultsOf({ ...llama, ...fields });
    expect(message).toMatch(/^checkpoint-field/);
    expect(message).toContain(name);
  });

  it.each([
    [{ max_position_embeddings: 1e9 }, "max_position_embeddings"],
    [{ hidden_act: "tanh" }, "hidden_act"],
    [{ quantization_config: { quant_method: "gptq" } }, "quantization_config.quant_method"],
    [
      { quantization_config: { quant_method: "bitnet", linear_class: "other" } },
      "quantization_config.linear_class",
    ],
    [{ hidden_size: "64" }, "hidden_size"],
    [{ num_hidden_layers: 0 }, "num_hidden_layers"],
    [{ num_key_value_heads: 3 }, "num_key_value_heads"],
    [{ num_attention_heads: 5 }, "num_attention_heads"],
    [{ head_dim: 15 }, "head_dim"],
    [
      { rope_scaling: { rope_type: "llama3", factor: 8, low_freq_factor: 1 } },
      "rope_scaling.high_freq_factor",
    ],
    [{ rope_scaling: { type: "linear" } }, "rope_scaling.factor"],
  ])("names the field that is wrong in %j", async (fields, name) => {
    const message = await faultsOf({ ...llama, ...fields });
    expect(message).toMatch(/^json-field/);
    expect(message).toContain(`The field ${name} `);
  });

  it("reports all of them at once", async () => {
    const message = await faultsOf({ ...llama, sliding_window: 9, num_experts: 2, num_key_value_heads: 3 });
    expect(message.split("\n")).toHaveLength(3);
    expect((await faultsOf({ architectures: ["LlamaForCausalLM"] })).split("\n")).toHaveLength(6);
  });

  it("refuses other architectures, other files and no file", async () => {
    expect(await faultsOf({ ...llama, architectures: ["MambaForCausalLM"] })).toMatch(
      /^checkpoint-architecture: .*MambaForCausalLM; BitNetForCausalLM, BitnetForCausalLM, /,
    );
    expect(await faultsOf({ ...llama, architectures: undefined, model_type: "mamba" })).toContain(
      "model_type mamba",
    );
    expect(await faultsOf("{")).toMatch(/^json-syntax/);
    expect(await faultsOf("[]")).toMatch(/^json-field: The file/);
    const faults: Diagnostic[] = [];
    expect(await readConfig(memoryFiles("folder", {}), faults)).toBeUndefined();
    expect(faults).toMatchObject([{ code: "checkpoint-config-missing", at: "folder" }]);
  });
});

it("rounds inverse frequencies where PyTorch's f32 arithmetic does", () => {
  // as torch computes them for theta 500000 and heads of 64; rounded once instead of twice, 1, 2 and 16 differ
  const frequencies = inverseFrequencies({ theta: 500000, scaling: { type: "default" } }, 64);
  expect(frequencies).toHaveLength(32);
  const wanted = { 0: 1, 1: 0.6636013, 2: 0.44036663, 16: 0.0014142134, 26: 0.000023419998 };
  for (const [i, value] of Object.entries(wanted)) expect(frequencies[Number(i)]).toBe(Math.fround(value));
});
