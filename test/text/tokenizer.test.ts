import { describe, expect, it } from "vitest";
import { chatTemplateIn, createTokenizer } from "../../src/runtime/text/tokenizer.ts";
import { bos, byteId, byteLevelTokenizer, eos, mergeId, tokenCount } from "./byte-level-tokenizer.ts";

const config = JSON.stringify({ bos_token: bos, eos_token: { content: eos } });
const bytesOf = (text: string) => [...new TextEncoder().encode(text)].map(byteId);

describe("createTokenizer", () => {
  it("applies merges, and the template that puts a token in front", async () => {
    const tokenizer = await createTokenizer(byteLevelTokenizer(), config);
    const hello = [mergeId(2), byteId(0x6f), mergeId(3), ...bytesOf("orld")];
    expect(tokenizer.encode("hello world")).toEqual([0, ...hello]);
    expect(tokenizer.encode("hello world", { special: false })).toEqual(hello);
    expect(tokenizer.decode([0, ...hello, 1])).toBe("hello world");
    expect(tokenizer.specialTokens).toEqual({ bos, eos });
  });

  it("recognises special tokens in the text", async () => {
    const tokenizer = await createTokenizer(byteLevelTokenizer(), config);
    expect(tokenizer.encode(`${bos}he${eos}`, { special: false })).toEqual([0, mergeId(0), 1]);
  });

  it("puts the token in front that only the config asks for, once", async () => {
    const asks = JSON.stringify({ bos_token: bos, add_bos_token: true });
    for (const template of [true, false]) {
      const tokenizer = await createTokenizer(byteLevelTokenizer({ template }), asks);
      expect(tokenizer.encode("he")).toEqual([0, mergeId(0)]);
      expect(tokenizer.encode("he", { special: false })).toEqual([mergeId(0)]);
    }
    expect((await createTokenizer(byteLevelTokenizer({ template: false }), config)).encode("he")).toEqual([
      mergeId(0),
    ]);
  });

  it("streams characters whole, in one piece each, whatever tokens they are made of", async () => {
    const tokenizer = await createTokenizer(byteLevelTokenizer(), config);
    const text = "hello wörld — 日本 👋🏽!";
    const stream = tokenizer.stream();
    const pieces = [0, ...tokenizer.encode(text, { special: false }), 1].map((id) => stream.push(id));
    expect(pieces.join("") + stream.flush()).toBe(text);
    expect(pieces.every((piece) => !piece.includes("\uFFFD"))).toBe(true);
    expect(pieces[0]).toBe("");
    expect(pieces.at(-1)).toBe("");
  });

  it("gives no text for ids beyond the tokenizer's", async () => {
    const tokenizer = await createTokenizer(byteLevelTokenizer());
    expect(tokenizer.decode([tokenCount + 5, byteId(0x61)])).toBe("a");
    expect(tokenizer.decode([])).toBe("");
    expect(tokenizer.decode([0, 1])).toBe("");
  });

  it("cleans spaces up only where the config asks for it", async () => {
    const ids = bytesOf("a . b n't");
    expect((await createTokenizer(byteLevelTokenizer(), config)).decode(ids)).toBe("a . b n't");
    const cleaning = await createTokenizer(
      byteLevelTokenizer(),
      JSON.stringify({ clean_up_tokenization_spaces: true }),
    );
    expect(cleaning.decode(ids)).toBe("a. bn't");
    const stream = cleaning.stream();
    expect(ids.map((id) => stream.push(id)).join("") + stream.flush()).toBe("a. bn't");
  });

  it.each([
    ["text that is not JSON", "{", /tokenizer\.json/],
    ["a JSON value that is no object", "[]", /an object is expected/],
    ["a file without a model", "{}", /error\[tokenizer\]/],
  ])("refuses %s", async (_, json, message) => {
    await expect(createTokenizer(json)).rejects.toThrow(message);
  });
});

describe("chatTemplateIn", () => {
  it("finds the template, the default one of several", () => {
    const named = [
      { name: "tools", template: "t" },
      { name: "default", template: "d" },
    ];
    expect(chatTemplateIn(JSON.stringify({ chat_template: "x" }))).toBe("x");
    expect(chatTemplateIn(JSON.stringify({ chat_template: named }))).toBe("d");
    expect(chatTemplateIn(JSON.stringify({ chat_template: named.slice(0, 1) }))).toBe("t");
    expect(chatTemplateIn("{}")).toBeUndefined();
    expect(chatTemplateIn(undefined)).toBeUndefined();
  });
});
