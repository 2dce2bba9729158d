import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createTokenizer } from "../../src/runtime/text/tokenizer.ts";
import { unpacked } from "../support/archive.ts";

interface Reference {
  readonly prompt: string;
  readonly input_ids: readonly number[];
  readonly greedy_ids: readonly number[];
  readonly greedy_text: string;
}

const folder = unpacked("bard.tar.br");
const read = (name: string) => readFileSync(join(folder, name), "utf8");
const references = Object.entries(JSON.parse(read("reference.json"))).filter(
  (entry): entry is [string, Reference] => /\.p\d$/.test(entry[0]),
);

describe("the tokenizer of a trained model", () => {
  it.each(references)("gives the ids and the text that transformers gives: %s", async (_, reference) => {
    const tokenizer = await createTokenizer(
      read("hf-packed/tokenizer.json"),
      read("hf-packed/tokenizer_config.json"),
    );
    expect(tokenizer.encode(reference.prompt)).toEqual(reference.input_ids);
    expect(tokenizer.decode(reference.greedy_ids)).toBe(reference.greedy_text);
    const stream = tokenizer.stream();
    const pieces = reference.greedy_ids.map((id) => stream.push(id));
    expect(pieces.join("") + stream.flush()).toBe(reference.greedy_text);
  });

  it("has references to be compared with", () => {
    expect(references.length).toBe(9);
  });
});
