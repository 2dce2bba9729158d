import { describe, expect, it } from "vitest";
import { BitnetcError, type Diagnostic } from "../../src/errors.ts";
import { type CheckpointOptions, importCheckpoint } from "../../src/frontend/checkpoint/import.ts";
import { coreOps } from "../../src/ir/ops/index.ts";
import { inlineLimit, readWeight, type WeightRef } from "../../src/ir/weights.ts";
import type { FileSet } from "../../src/tensor/source.ts";
import { byteLength } from "../../src/tensor/tensor.ts";
import { float } from "./naive-decoder.ts";
import { graphRunner } from "./run-graph.ts";
import { baseConfig, silu, sizes, type TinyOptions, tinyModel } from "./tiny-models.ts";
import { checkpointFiles, json, type TestTensor, writeSafetensors } from "./write-checkpoint.ts";

const llama = { ...baseConfig, architectures: ["LlamaForCausalLM"], tie_word_embeddings: true };
const quantised = (linear_class: string, quantization_mode: string, more: object = {}) => ({
  ...llama,
  quantization_config: { quant_method: "bitnet", linear_class, quantization_mode, ...more },
});
const dense = () =>
  tinyModel({ seed: 20, linear: (make, outputs, inputs) => make.dense(outputs, inputs), activation: silu })
    .tensors;
const packed = () =>
  tinyModel({
    seed: 21,
    linear: (make, outputs, inputs) => make.packed(outputs, inputs, "multiply"),
    activation: silu,
  }).tensors;

/** With projections too large to be held in memory. */
const wide = (linear: TinyOptions["linear"]) =>
  tinyModel({ seed: 24, linear, activation: silu, ffn: 256 }).tensors;

const importModel = (files: FileSet, options?: CheckpointOptions) =>
  importCheckpoint(files, coreOps, options);

async function faultsOf(files: FileSet): Promise<readonly Diagnostic[]> {
  const thrown = await importModel(files).catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(BitnetcError);
  return (thrown as BitnetcError).diagnostics;
}

/** The constants of one linear, by its place in the model. */
async function constantsOf(files: FileSet, place: string) {
  const { graph } = await importModel(files);
  const node = graph.nodes.find(({ loc, op }) => loc.source === `hf:${place}` && op.endsWith("linear"))!;
  const data = (name: string): WeightRef => {
    const { def } = node.arg(name);
    if (def.kind !== "const") throw new Error(`${name} is not a constant`);
    return def.data;
  };
  return { node, data, values: async (name: string) => Array.from((await readWeight(data(name))).data) };
}

const q = "model.layers.0.self_attn.q_proj";

describe("packed weights", () => {
  it("give the scale as a factor, whichever way it is stored", async () => {
    const tensors = {
      ...packed(),
      [`${q}.weight_scale`]: { dtype: "bf16", shape: [1], data: [3] } as TestTensor,
    };
    const scaleOf = async (config: object) =>
      (await constantsOf(checkpointFiles(config, tensors), q)).values("scale");
    expect(await scaleOf(quantised("autobitlinear", "offline"))).toEqual([3]);
    expect(await scaleOf(quantised("bitlinear", "offline"))).toEqual([Math.fround(1 / 3)]);
    tensors[`${q}.weight_scale`] = { dtype: "f32", shape: [], data: [0.3] };
    expect(await scaleOf(quantised("autobitlinear", "offline"))).toEqual([Math.fround(0.3)]);
  });

  it("may have been saved as floats", async () => {
    const tensors = packed();
    const files = (weight: TestTensor) =>
      checkpointFiles(quantised("autobitlinear", "offline"), { ...tensors, [`${q}.weight`]: weight });
    const bytes = tensors[`${q}.weight`]!;
    const want = await (await constantsOf(files(bytes), q)).values("weight");
    expect(await (await constantsOf(files({ ...bytes, dtype: "bf16" }), q)).values("weight")).toEqual(want);
  });

  it("are refused without a config, a scale, or a scale that is a positive number", async () => {
    const tensors = packed();
    const noConfig = await faultsOf(checkpointFiles(llama, tensors));
    expect(noConfig).toHaveLength(14);
    expect(noConfig[0]).toMatchObject({ code: "packed-without-config", message: expect.stringContaining(q) });
    const config = quantised("autobitlinear", "offline");
    const { [`${q}.weight_scale`]: _, ...withoutScale } = tensors;
    expect(await faultsOf(checkpointFiles(config, withoutScale))).toMatchObject([
      { code: "tensor-missing", at: `${q}.weight_scale` },
    ]);
    for (const value of [0, -1, Number.NaN]) {
      const scale: TestTensor = { dtype: "f32", shape: [1], data: [value] };
      const files = checkpointFiles(config, { ...tensors, [`${q}.weight_scale`]: scale });
      expect(await faultsOf(files)).toMatchObject([{ code: "weight-scale", at: `${q}.weight_scale` }]);
    }
  });

  it("name the weight and the row when a byte is corrupt, as soon as it is read", async () => {
    const tensors = wide((make, outputs, inputs) => make.packed(outputs, inputs, "multiply"));
    const name = "model.layers.0.mlp.gate_proj.weight";
    const bytes = Array.from(tensors[name]!.data);
    bytes[5] = 0b00_11_00_01; // packed row 0 of 64, third quarter
    const config = { ...quantised("autobitlinear", "offline"), intermediate_size: 256 };
    const files = checkpointFiles(config, { ...tensors, [name]: { ...tensors[name]!, data: bytes } });
    const { values } = await constantsOf(files, "model.layers.0.mlp.gate_proj");
    await expect(values("weight")).rejects.toMatchObject({
      diagnostics: [
        {
          code: "weight-packed-code",
          at: `model.safetensors:${name}`,
          message: expect.stringContaining("row 128"),
        },
      ],
    });
  });
});

describe("float weights under an offline config", () => {
  const rows = Array.from({ length: 32 }, (_, r) =>
    Array.from({ length: 32 }, (_, c) => ((r * 7 + c * 3) % 3) - 1),
  );
  const all = (name: string, tensor: (outputs: number, inputs: number) => TestTensor) =>
    Object.fromEntries(
      Object.entries(packed()).map(([key, value]) => {
        const isWeight = /_proj\.weight$/.test(key) && (name === "" || key.startsWith(name));
        return [key, isWeight ? tensor(value.shape[0]! * 4, value.shape[1]!) : value];
      }),
    );
  const ternary = (outputs: number, inputs: number, scale: number) =>
    float(
      Array.from({ length: outputs }, (_, r) =>
        Array.from({ length: inputs }, (_, c) => rows[r % 32]![c % 32]! * scale),
      ),
    );

  it("are {-1, 0, 1} beside weight_scale", async () => {
    const tensors = all("", (outputs, inputs) => ternary(outputs, inputs, 1));
    const scale = Array.from(tensors[`${q}.weight_scale`]!.data);
    const { node, values } = await constantsOf(
      checkpointFiles(quantised("autobitlinear", "offline"), tensors),
      q,
    );
    expect(node.attrs).toEqual({ activations: "int8-per-token", group: 0 });
    expect(await values("weight")).toEqual(rows.flat());
    expect(await values("scale")).toEqual(scale);
  });

  it("may hold a scale themselves, with or without weight_scale", async () => {
    const tensors = all("", (outputs, inputs) => ternary(outputs, inputs, 0.5));
    const [stored] = Array.from(tensors[`${q}.weight_scale`]!.data);
    const config = quantised("autobitlinear", "offline");
    expect(await (await constantsOf(checkpointFiles(config, tensors), q)).values("scale")).toEqual([
      stored! / 2,
    ]);
    const { [`${q}.weight_scale`]: _, ...without } = tensors;
    expect(await (await constantsOf(checkpointFiles(config, without), q)).values("scale")).toEqual([0.5]);
  });

  it("are refused when they are not ternary, with the row and the way out", async () => {
    const faults = await faultsOf(checkpointFiles(quantised("autobitlinear", "offline"), dense()));
    expect(faults).toHaveLength(14);
    expect(faults[0]).toMatchObject({
      code: "weight-not-ternary",
      message: expect.stringMatching(
        /q_proj\.weight is neither packed nor ternary.*row 0 has \d+ different magnitudes/,
      ),
      hint: expect.stringContaining('"online"'),
    });
  });
});

describe("tensors that do not fit the config", () => {
  it("are reported all at once, with the shapes expected", async () => {
    const tensors = dense();
    delete tensors["model.norm.weight"];
    delete tensors["model.layers.1.mlp.up_proj.weight"];
    tensors["model.layers.0.input_layernorm.weight"] = {
      dtype: "f32",
      shape: [33],
      data: new Float32Array(33),
    };
    tensors["model.layers.1.self_attn.k_proj.weight"] = {
      dtype: "f32",
      shape: [16, 31],
      data: new Float32Array(496),
    };
    tensors["model.embed_tokens.weight"] = {
      dtype: "i32",
      shape: [sizes.vocab, 32],
      data: new Float32Array(48 * 32),
    };
    tensors[`${q}.bias`] = { dtype: "f32", shape: [32], data: new Float32Array(32) };
    tensors["model.layers.2.mlp.up_proj.weight"] = { dtype: "f32", shape: [1], data: [1] };
    const faults = await faultsOf(checkpointFiles(llama, tensors));
    expect(faults.map(({ code, message }) => `${code}: ${message}`).sort()).toEqual([
      "tensor-dtype: The tensor model.embed_tokens.weight holds i32, and floats are expected.",
      "tensor-missing: The checkpoint lacks the tensor model.layers.1.mlp.up_proj.weight of shape [64, 32].",
      "tensor-missing: The checkpoint lacks the tensor model.norm.weight of shape [32].",
      "tensor-shape: The tensor model.layers.0.input_layernorm.weight has shape [33], and [32] is expected.",
      "tensor-shape: The tensor model.layers.1.self_attn.k_proj.weight has shape [16, 31], and [16, 32] is expected.",
      expect.stringMatching(/^tensor-unknown: The tensor model\.layers\.0\.self_attn\.q_proj\.bias /),
      expect.stringMatching(/^tensor-unknown: The tensor model\.layers\.2\.mlp\.up_proj\.weight /),
    ]);
  });

  it("are refused when a quantised linear has a norm that the config does not mention", async () => {
    const { tensors } = tinyModel({
      seed: 22,
      linear: (make, outputs, inputs) => make.withInputNorm(make.master(outputs, inputs), "rms_norm", 1e-6),
      activation: silu,
    });
    const faults = await faultsOf(checkpointFiles(quantised("autobitlinear", "online"), tensors));
    expect(faults).toHaveLength(14);
    expect(faults[0]).toMatchObject({
      code: "tensor-unknown",
      message: expect.stringContaining("rms_norm.weight"),
    });
    const missing = await faultsOf(
      checkpointFiles(quantised("autobitlinear", "online", { use_rms_norm: true }), dense()),
    );
    expect(missing).toHaveLength(14);
    expect(missing[0]).toMatchObject({ code: "tensor-missing", at: `${q}.rms_norm.weight` });
  });

  it("are a warning outside the decoder, and nothing for tables that can be computed", async () => {
    const warnings: Diagnostic[] = [];
    const tensors = {
      ...dense(),
      "model.layers.0.self_attn.rotary_emb.inv_freq": {
        dtype: "f32",
        shape: [4],
        data: [1, 2, 3, 4],
      } as TestTensor,
      "v_head.summary.weight": { dtype: "f32", shape: [1], data: [1] } as TestTensor,
    };
    await importModel(checkpointFiles(llama, tensors), { warn: (warning) => void warnings.push(warning) });
    expect(warnings).toMatchObject([
      {
        code: "tensor-ignored",
        severity: "warning",
        message: expect.stringContaining("v_head.summary.weight"),
      },
    ]);
  });

  it("come together with what is wrong in other files", async () => {
    const files = checkpointFiles(
      { ...llama, num_experts: 4, vocab_size: "x" },
      {},
      {
        "model.safetensors": Uint8Array.of(1, 2),
        "generation_config.json": json({ top_p: 2 }),
      },
    );
    expect((await faultsOf(files)).map(({ code, at }) => [code, at])).toEqual([
      ["json-field", "config.json"],
      ["safetensors-header", "model.safetensors"],
      ["json-field", "generation_config.json"],
    ]);
  });
});

describe("the head", () => {
  const head = (make: (embedding: readonly number[]) => readonly number[]) => {
    const tensors = dense();
    const embedding = tensors["model.embed_tokens.weight"]!;
    return { ...tensors, "lm_head.weight": { ...embedding, data: [...make(Array.from(embedding.data))] } };
  };
  const sharesEmbedding = async (config: object, tensors: Record<string, TestTensor>) => {
    const warnings: Diagnostic[] = [];
    const { graph } = await importModel(checkpointFiles(config, tensors), {
      warn: (w) => void warnings.push(w),
    });
    const table = graph.nodes.find(({ op }) => op === "nn.embedding")!.arg("table");
    const isShared = graph.outputs[0]!.value.node!.arg("weight") === table;
    return { isShared, warnings: warnings.map(({ code }) => code) };
  };
  const untied = { ...llama, tie_word_embeddings: false };
  const { tie_word_embeddings: _, ...unsaid } = llama;

  it("is the embedding where it is tied and where there is no other", async () => {
    expect(await sharesEmbedding(llama, dense())).toEqual({ isShared: true, warnings: [] });
    expect(await sharesEmbedding(unsaid, dense())).toEqual({
      isShared: true,
      warnings: ["head-assumed-tied"],
    });
    expect(await faultsOf(checkpointFiles(untied, dense()))).toMatchObject([
      { code: "tensor-missing", at: "lm_head.weight" },
    ]);
  });

  it("is the file's own where it has one, unless that is the embedding again", async () => {
    const equal = head((embedding) => embedding);
    const other = head((embedding) => embedding.map((x, i) => (i === 7 ? x + 1 : x)));
    expect(await sharesEmbedding(llama, equal)).toEqual({ isShared: true, warnings: [] });
    expect(await sharesEmbedding(llama, other)).toEqual({ isShared: false, warnings: ["head-not-tied"] });
    expect(await sharesEmbedding(untied, equal)).toEqual({ isShared: false, warnings: [] });
    expect(await sharesEmbedding(unsaid, other)).toEqual({ isShared: false, warnings: [] });
  });

  it("stays as it is in a quantised model, and is ternary where the file packs it", async () => {
    const { tensors } = tinyModel({
      seed: 23,
      linear: (make, outputs, inputs) => make.packed(outputs, inputs, "divide"),
      activation: silu,
      tied: false,
    });
    const config = { ...quantised("bitlinear", "offline"), tie_word_embeddings: false };
    expect((await constantsOf(checkpointFiles(config, tensors), "lm_head")).node.op).toBe("nn.linear");
    const bytes = new Float32Array((sizes.vocab / 4) * 32).fill(0b10_01_00_10);
    const packedHead: Record<string, TestTensor> = {
      ...tensors,
      "lm_head.weight": { dtype: "u8", shape: [sizes.vocab / 4, 32], data: bytes },
      "lm_head.weight_scale": { dtype: "bf16", shape: [1], data: [4] },
    };
    const { node, values } = await constantsOf(checkpointFiles(config, packedHead), "lm_head");
    expect(node.op).toBe("bitnet.linear");
    expect(await values("scale")).toEqual([0.25]);
    expect((await values("weight")).filter((_, i) => i % 32 === 0)).toEqual(
      [1, -1, 0, 1].flatMap((code) => new Array(12).fill(code)),
    );
  });
});

it("reads a checkpoint in shards as the same graph", async () => {
  const tensors = dense();
  const names = Object.keys(tensors);
  const parts = [0, 1, 2].map((part) =>
    Object.fromEntries(names.filter((_, i) => i % 3 === part).map((name) => [name, tensors[name]!])),
  );
  const shard = (part: number) => `model-0000${part + 1}-of-00003.safetensors`;
  const whole = checkpointFiles(llama, tensors);
  const sharded = checkpointFiles(
    llama,
    {},
    {
      "model.safetensors.index.json": json({
        weight_map: Object.fromEntries(names.map((name, i) => [name, shard(i % 3)])),
      }),
      ...Object.fromEntries(parts.map((part, i) => [shard(i), writeSafetensors(part)])),
    },
  );
  const listed: FileSet = {
    ...sharded,
    list: async () => (await sharded.list()).filter((name) => name !== "model.safetensors"),
  };
  const logits = async (files: FileSet) =>
    (await graphRunner((await importModel(files)).graph)([1, 2, 3], 0)).data;
  expect(await logits(listed)).toEqual(await logits(whole));
});

it("reads nothing at import but what is small: scales and norms", async () => {
  const counted = (files: FileSet) => {
    const reads = { bytes: 0 };
    const set: FileSet = {
      ...files,
      open: async (path) => {
        const source = await files.open(path);
        if (source === undefined || !path.endsWith(".safetensors")) return source;
        return {
          ...source,
          read: (from, to) => {
            if (from > 8) reads.bytes += to - from;
            return source.read(from, to);
          },
        };
      },
    };
    return { set, reads };
  };
  for (const [mode, make] of [
    ["offline", (make, outputs, inputs) => make.packed(outputs, inputs, "multiply")],
    ["online", (make, outputs, inputs) => make.master(outputs, inputs)],
  ] as const satisfies [string, TinyOptions["linear"]][]) {
    const tensors = wide(make);
    const config = { ...quantised("autobitlinear", mode), intermediate_size: 256 };
    const { set, reads } = counted(checkpointFiles(config, tensors));
    await importModel(set);
    const small = Object.values(tensors).filter(({ data }) => data.length <= inlineLimit);
    expect(small.length).toBeLessThan(Object.keys(tensors).length - 6);
    expect(reads.bytes).toBe(small.reduce((sum, { dtype, data }) => sum + byteLength(dtype, data.length), 0));
  }
});
