import { describe, expect, it } from "vitest";
import type { Diagnostic } from "../../src/errors.ts";
import { readTextFiles } from "../../src/frontend/text-files.ts";
import { memoryFiles } from "../../src/tensor/source.ts";
import { json, text } from "./write-checkpoint.ts";

const tokenizer = json({
  model: { type: "BPE" },
  added_tokens: [
    { id: 10, content: "<|begin|>", special: true },
    { id: 11, content: "<|end|>", special: true },
    { id: 12, content: "<|eot_id|>", special: true },
  ],
});

const read = (files: Record<string, Uint8Array>, warnings: Diagnostic[] = []) =>
  readTextFiles(memoryFiles("model", files), (warning) => void warnings.push(warning));

describe("readTextFiles", () => {
  it("knows nothing of an empty folder", async () => {
    expect(await read({})).toEqual({ eosIds: [] });
  });

  it("joins what all the files say", async () => {
    const info = await read({
      "config.json": json({ eos_token_id: 11, bos_token_id: 10, vocab_size: 100, num_hidden_layers: 3 }),
      "generation_config.json": json({
        eos_token_id: [11, 12],
        do_sample: true,
        temperature: 0.6,
        top_p: 0.9,
        top_k: 40,
      }),
      "tokenizer_config.json": json({
        bos_token: "<|begin|>",
        eos_token: { content: "<|end|>", lstrip: false },
        chat_template: "{{ messages }}",
      }),
      "tokenizer.json": tokenizer,
    });
    expect(info).toEqual({
      bosId: 10,
      eosIds: [11, 12],
      vocabSize: 100,
      layers: 3,
      tokenizer,
      chatTemplate: "{{ messages }}",
      tokenizerConfig: { bos_token: "<|begin|>", eos_token: "<|end|>" },
      sampling: { temperature: 0.6, topK: 40, topP: 0.9 },
    });
  });

  it("finds ids by the tokens' text, and text by the ids", async () => {
    const byText = await read({
      "tokenizer_config.json": json({ bos_token: "<|begin|>", eos_token: "<|end|>" }),
      "tokenizer.json": tokenizer,
    });
    expect(byText).toMatchObject({ bosId: 10, eosIds: [11] });
    const byId = await read({
      "config.json": json({ bos_token_id: 10, eos_token_id: 11 }),
      "tokenizer.json": tokenizer,
    });
    expect(byId.tokenizerConfig).toEqual({ bos_token: "<|begin|>", eos_token: "<|end|>" });
  });

  it("stops at the token that ends a turn of the chat template", async () => {
    const files = { "config.json": json({ eos_token_id: 11 }), "tokenizer.json": tokenizer };
    expect((await read(files)).eosIds).toEqual([11]);
    const template = text("{% for m in messages %}{{ m.content }}<|eot_id|>{% endfor %}");
    expect((await read({ ...files, "chat_template.jinja": template })).eosIds).toEqual([11, 12]);
  });

  it("prefers chat_template.jinja, and of named templates the default one", async () => {
    const named = (...names: string[]) => ({
      "tokenizer_config.json": json({
        chat_template: names.map((name) => ({ name, template: `[${name}]` })),
      }),
    });
    const warnings: Diagnostic[] = [];
    expect((await read(named("tool_use", "default"), warnings)).chatTemplate).toBe("[default]");
    expect(warnings).toEqual([]);
    expect((await read(named("rag", "tool_use"), warnings)).chatTemplate).toBe("[rag]");
    expect(warnings.map(({ code, severity }) => [code, severity])).toEqual([
      ["chat-template-chosen", "warning"],
    ]);
    const both = { ...named("default"), "chat_template.jinja": text("[file]") };
    expect((await read(both)).chatTemplate).toBe("[file]");
  });

  it("leaves sampling out where the authors do not sample", async () => {
    expect(await read({ "generation_config.json": json({ temperature: 0.6, do_sample: false }) })).toEqual({
      eosIds: [],
    });
    expect(await read({ "generation_config.json": json({ temperature: 0.6 }) })).toEqual({ eosIds: [] });
  });

  it("takes GPT-2's names of the sizes, and nulls", async () => {
    const info = await read({ "config.json": json({ n_layer: 12, n_positions: 1024, eos_token_id: null }) });
    expect(info).toEqual({ eosIds: [], layers: 12, maxPositions: 1024 });
  });

  it("names every file and field that is wrong", async () => {
    const error = await read({
      "config.json": json({ eos_token_id: "x", vocab_size: -1 }),
      "generation_config.json": text("{"),
      "tokenizer_config.json": json({ chat_template: 3 }),
      "tokenizer.json": Uint8Array.of(0xff, 0xfe, 0x00),
    }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      diagnostics: [
        { code: "json-field", at: "config.json", message: expect.stringContaining("eos_token_id") },
        { code: "json-field", at: "config.json", message: expect.stringContaining("vocab_size") },
        { code: "json-syntax", at: "generation_config.json" },
        {
          code: "json-field",
          at: "tokenizer_config.json",
          message: expect.stringContaining("chat_template"),
        },
        { code: "file-not-text", at: "tokenizer.json" },
      ],
    });
  });
});
