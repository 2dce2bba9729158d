import { describe, expect, it } from "vitest";
import { importCheckpoint } from "../../src/frontend/checkpoint/import.ts";
import { coreOps } from "../../src/ir/ops/index.ts";
import type { FileSet } from "../../src/tensor/source.ts";
import { LinearMaker, type NaiveDecoder, naiveLogits } from "./naive-decoder.ts";
import { graphRunner, opCounts } from "./run-graph.ts";
import { baseConfig, relu2, silu, sizes, tinyModel } from "./tiny-models.ts";
import { checkpointFiles } from "./write-checkpoint.ts";

const ids = [3, 17, 40, 5, 5, 29, 11];

/** Runs five tokens at once and then one by one, and compares every row with the naive decoder. */
async function expectSameLogits(files: FileSet, model: NaiveDecoder): Promise<void> {
  const { graph } = await importCheckpoint(files, coreOps);
  const run = graphRunner(graph);
  const want = naiveLogits(model, ids);
  const prefill = await run(ids.slice(0, 5), 0);
  expect(prefill.shape).toEqual([1, 5, sizes.vocab]);
  const rows = Array.from({ length: 5 }, (_, i) =>
    prefill.data.slice(i * sizes.vocab, (i + 1) * sizes.vocab),
  );
  for (const position of [5, 6]) rows.push((await run([ids[position]!], position)).data);
  const largest = Math.max(...want.flat().map(Math.abs));
  const worst = Math.max(
    ...rows.map((row, i) => want[i]!.reduce((max, x, v) => Math.max(max, Math.abs(x - row[v]!)), 0)),
  );
  expect(worst).toBeLessThan(largest * 1e-5);
}

const bitnet = {
  ...baseConfig,
  architectures: ["BitNetForCausalLM"],
  model_type: "bitnet",
  hidden_act: "relu2",
};
const bitnetNorms = { attention: "self_attn.attn_sub_norm", mlp: "mlp.ffn_sub_norm" };
const quantization = (more: object) => ({ quantization_config: { quant_method: "bitnet", ...more } });

describe("BitNetForCausalLM", () => {
  const { tensors, model } = tinyModel({
    seed: 1,
    linear: (make, outputs, inputs) => make.packed(outputs, inputs, "multiply"),
    activation: relu2,
    subNorms: bitnetNorms,
  });
  const config = {
    ...bitnet,
    tie_word_embeddings: true,
    ...quantization({ linear_class: "autobitlinear", quantization_mode: "offline" }),
  };

  it("computes what the packed weights mean: weight_scale is a factor", async () => {
    await expectSameLogits(checkpointFiles(config, tensors), model);
  });

  it("is one graph of fused ops, whose states are the KV cache", async () => {
    const { graph, info } = await importCheckpoint(checkpointFiles(config, tensors), coreOps, {
      maxSeqLen: 12,
    });
    expect(opCounts(graph)).toEqual({
      "nn.embedding": 1,
      "nn.rms_norm": 4 * 2 + 1,
      "bitnet.linear": 7 * 2,
      reshape: 4 * 2,
      transpose: 4 * 2,
      "nn.rope": 2 * 2,
      "kv.update": 2 * 2,
      "nn.sdpa": 2,
      add: 2 * 2,
      "nn.relu2": 2,
      mul: 2,
      "nn.linear": 1,
    });
    expect(graph.inputs.map((input) => (input.def.kind === "input" ? input.def.name : ""))).toEqual([
      "tokens",
      "start_pos",
    ]);
    expect(graph.states.map(({ def, type }) => [def.kind === "state" ? def.name : "", type.shape])).toEqual(
      ["kv.0.key", "kv.0.value", "kv.1.key", "kv.1.value"].map((name) => [name, [1, 2, 12, 8]]),
    );
    const find = (op: string) => graph.nodes.filter((node) => node.op === op);
    const [embedding, head] = [find("nn.embedding")[0]!, find("nn.linear")[0]!];
    expect(head.arg("weight")).toBe(embedding.arg("table"));
    expect(new Set(find("nn.rope").map((node) => node.arg("cos"))).size).toBe(1);
    expect(find("nn.rope")[0]!.arg("cos").type.shape).toEqual([12, 4]);
    expect(find("nn.sdpa")[0]!.attrs).toEqual({
      scale: Math.fround(8 ** -0.5),
      causal: true,
      softcap: 0,
      window: 0,
    });
    expect(find("bitnet.linear")[0]!.attrs).toEqual({ activations: "int8-per-token", group: 0 });
    expect(find("bitnet.linear").map((node) => node.loc.source)[0]).toBe(
      "hf:model.layers.0.self_attn.q_proj",
    );
    const symbols = graph.inputs[0]!.type.shape[1];
    expect(symbols).toMatchObject({ key: "S", min: 1, max: 12 });
    expect(graph.inputs[1]!.contents).toMatchObject([{ key: "P", min: 0, max: 12 }]);
    expect(info).toMatchObject({
      frontend: "checkpoint",
      maxPositions: 16,
      vocabSize: 48,
      layers: 2,
      eosIds: [1],
    });
  });

  it("takes the activations that the caller asks for", async () => {
    const { graph } = await importCheckpoint(checkpointFiles(config, tensors), coreOps, {
      activations: "float",
    });
    const linears = graph.nodes.filter((node) => node.op === "bitnet.linear");
    expect(new Set(linears.map((node) => node.attrs.activations))).toEqual(new Set(["float"]));
  });

  it("rounds master weights by their mean magnitude (online)", async () => {
    const { tensors, model } = tinyModel({
      seed: 2,
      linear: (make, outputs, inputs) => make.master(outputs, inputs),
      activation: relu2,
      subNorms: bitnetNorms,
    });
    const online = quantization({ linear_class: "autobitlinear", quantization_mode: "online" });
    await expectSameLogits(
      checkpointFiles({ ...bitnet, ...online, tie_word_embeddings: true }, tensors),
      model,
    );
  });

  it("scales the biases of offline autobitlinear layers with their outputs", async () => {
    const { tensors, model } = tinyModel({
      seed: 3,
      linear: (make, outputs, inputs, module) => {
        const stored = make.packed(outputs, inputs, "multiply");
        return module.includes("self_attn") ? make.withBias(stored, stored.linear.scale) : stored;
      },
      activation: relu2,
      subNorms: bitnetNorms,
    });
    await expectSameLogits(checkpointFiles({ ...config, attention_bias: true }, tensors), model);
  });
});

describe("BitnetForCausalLM (1bitLLM)", () => {
  it("rounds its master weights although there is no quantization_config", async () => {
    const { tensors, model } = tinyModel({
      seed: 4,
      linear: (make, outputs, inputs) => make.master(outputs, inputs),
      activation: silu,
      subNorms: { attention: "self_attn.inner_attn_ln", mlp: "mlp.ffn_layernorm" },
    });
    const config = {
      ...baseConfig,
      architectures: ["BitnetForCausalLM"],
      model_type: "llama",
      hidden_act: "silu",
      tie_word_embeddings: true,
      weight_bits: 1,
      input_bits: 8,
    };
    await expectSameLogits(checkpointFiles(config, tensors), model);
    const { graph } = await importCheckpoint(checkpointFiles(config, tensors), coreOps);
    expect(opCounts(graph)).toMatchObject({ "bitnet.linear": 14, "nn.silu": 2, "nn.linear": 1 });
  });
});

describe("LlamaForCausalLM", () => {
  const llama = {
    ...baseConfig,
    architectures: ["LlamaForCausalLM"],
    model_type: "llama",
    hidden_act: "silu",
  };

  it("is plain linears without any ternary weight, with biases and a head of its own", async () => {
    const { tensors, model } = tinyModel({
      seed: 5,
      linear: (make, outputs, inputs) => make.withBias(make.dense(outputs, inputs)),
      activation: silu,
      tied: false,
    });
    const config = { ...llama, attention_bias: true, mlp_bias: true, tie_word_embeddings: false };
    await expectSameLogits(checkpointFiles(config, tensors), model);
    const { graph } = await importCheckpoint(checkpointFiles(config, tensors), coreOps);
    expect(opCounts(graph)["nn.linear"]).toBe(15);
    expect(opCounts(graph)["bitnet.linear"]).toBeUndefined();
  });

  it("divides by weight_scale where linear_class is left out, and adds biases unscaled", async () => {
    const { tensors, model } = tinyModel({
      seed: 6,
      linear: (make, outputs, inputs) => make.withBias(make.packed(outputs, inputs, "divide")),
      activation: silu,
      tied: false,
    });
    const config = { ...llama, attention_bias: true, mlp_bias: true, ...quantization({}) };
    await expectSameLogits(checkpointFiles(config, tensors), model);
  });

  it("leaves the modules out that modules_to_not_convert names", async () => {
    const excluded = (module: string) => /layers\.1\.|down_proj/.test(module);
    const { tensors, model } = tinyModel({
      seed: 17,
      linear: (make, outputs, inputs, module) =>
        excluded(module) ? make.dense(outputs, inputs) : make.master(outputs, inputs),
      activation: silu,
      tied: false,
    });
    const names = ["lm_head", "model.layers.1", "down_proj"];
    const config = {
      ...llama,
      ...quantization({
        linear_class: "autobitlinear",
        quantization_mode: "online",
        modules_to_not_convert: names,
      }),
    };
    await expectSameLogits(checkpointFiles(config, tensors), model);
  });

  it("sees by the values that dense weights are ternary, and quantises no activations then", async () => {
    const codes = new LinearMaker(8);
    const { tensors, model } = tinyModel({
      seed: 8,
      // two scales, one for each half of the inputs
      linear: (_, outputs, inputs) => {
        const rows = codes
          .codes(outputs, inputs)
          .map((row) => row.map((code, i) => code * (i < inputs / 2 ? 0.25 : 0.5)));
        const weight = { dtype: "f16", shape: [outputs, inputs], data: rows.flat() } as const;
        return { tensors: { weight }, linear: { rows } };
      },
      activation: silu,
      tied: false,
    });
    const files = checkpointFiles(llama, tensors);
    await expectSameLogits(files, model);
    const { graph } = await importCheckpoint(files, coreOps);
    const linears = graph.nodes.filter((node) => node.op === "bitnet.linear");
    expect(linears).toHaveLength(14);
    expect(linears[0]!.attrs).toEqual({ activations: "float", group: sizes.hidden / 2 });
    expect(linears[0]!.arg("scale").type.shape).toEqual([32, 2]);
    const activations = async (fields: object) => {
      const { graph } = await importCheckpoint(checkpointFiles({ ...llama, ...fields }, tensors), coreOps);
      const linears = graph.nodes.filter((node) => node.op === "bitnet.linear");
      return new Set(linears.map(({ loc, attrs }) => `${loc.source.slice(-6)} ${attrs.activations}`));
    };
    expect(await activations({ input_bits: 8 })).toContain("q_proj int8-per-token");
    // transformers leaves modules that the config excludes alone, whatever their values
    const method = { quant_method: "bitnet", linear_class: "autobitlinear" };
    const excluding = { quantization_config: { ...method, modules_to_not_convert: ["q_proj"] } };
    const found = await activations(excluding);
    expect(found).toContain("q_proj float");
    expect(found).toContain("k_proj int8-per-token");
  });

  it("scales rotations as llama3 and as linear do", async () => {
    const base = Array.from({ length: 4 }, (_, i) => 10000 ** (-i / 4));
    const model = (inverseFrequencies: readonly number[]) =>
      tinyModel({
        seed: 9,
        linear: (make, outputs, inputs) => make.dense(outputs, inputs),
        activation: silu,
        inverseFrequencies,
      });
    const linear = model(base.map((frequency) => frequency / 4));
    const tied = { ...llama, tie_word_embeddings: true };
    const linearConfig = { ...tied, rope_scaling: { type: "linear", factor: 4 } };
    await expectSameLogits(checkpointFiles(linearConfig, linear.tensors), linear.model);

    // wavelengths 2π·(1, 10, 100, 1000) with 200 original positions: kept up to 200/4 = 50, divided by 8 from
    // 200/1 = 200 on, and nothing lies between; with 1 and 10 as factors, 62.8 lies between 20 and 200
    const smooth = (200 / (2 * Math.PI * 10) - 1) / (10 - 1);
    const cases = [
      {
        high: 4,
        frequencies: [
          1,
          base[1]! * ((1 - (200 / (20 * Math.PI) - 1) / 3) / 8 + (200 / (20 * Math.PI) - 1) / 3),
        ],
      },
      { high: 10, frequencies: [1, base[1]! * ((1 - smooth) / 8 + smooth)] },
    ];
    for (const { high, frequencies } of cases) {
      const scaled = model([...frequencies, base[2]! / 8, base[3]! / 8]);
      const rope = {
        rope_type: "llama3",
        factor: 8,
        low_freq_factor: 1,
        high_freq_factor: high,
        original_max_position_embeddings: 200,
      };
      await expectSameLogits(checkpointFiles({ ...tied, rope_scaling: rope }, scaled.tensors), scaled.model);
      const { rope_theta, ...without } = tied;
      const newer = { ...without, rope_parameters: { ...rope, rope_theta } };
      await expectSameLogits(checkpointFiles(newer, scaled.tensors), scaled.model);
    }
  });
});

describe("Qwen3ForCausalLM", () => {
  const qwen3 = {
    ...baseConfig,
    architectures: ["Qwen3ForCausalLM"],
    model_type: "qwen3",
    hidden_act: "silu",
    head_dim: 16,
    tie_word_embeddings: true,
    sliding_window: 4096,
    max_window_layers: 28,
    layer_types: ["full_attention", "full_attention"],
  };

  it("normalises queries and keys by head, with heads wider than hidden size / heads", async () => {
    const { tensors, model } = tinyModel({
      seed: 10,
      linear: (make, outputs, inputs) => make.dense(outputs, inputs),
      activation: silu,
      headDim: 16,
      headNorms: true,
    });
    await expectSameLogits(checkpointFiles(qwen3, tensors), model);
  });

  it.each(["rms_norm", "norm"] as const)("normalises the input of quantised linears by %s", async (name) => {
    const { tensors, model } = tinyModel({
      seed: 11,
      linear: (make, outputs, inputs) => make.withInputNorm(make.master(outputs, inputs), name, 1e-3),
      activation: silu,
      headDim: 16,
      headNorms: true,
    });
    const config = {
      ...qwen3,
      ...quantization({
        linear_class: "autobitlinear",
        quantization_mode: "online",
        use_rms_norm: true,
        rms_norm_eps: 1e-3,
      }),
    };
    await expectSameLogits(checkpointFiles(config, tensors), model);
    const { graph } = await importCheckpoint(checkpointFiles(config, tensors), coreOps);
    expect(opCounts(graph)["nn.rms_norm"]).toBe(2 * (2 + 2 + 7) + 1);
  });

  it("takes files that were saved without the model. prefix", async () => {
    const { tensors, model } = tinyModel({
      seed: 12,
      linear: (make, outputs, inputs) => make.dense(outputs, inputs),
      activation: silu,
      headDim: 16,
      headNorms: true,
      prefix: "",
    });
    await expectSameLogits(checkpointFiles(qwen3, tensors), model);
  });
});
