import { describe, expect, it } from "vitest";
import { TextStream } from "../../src/runtime/text/text-stream.ts";

const bytes = (ids: readonly number[]): string => new TextDecoder().decode(Uint8Array.from(ids));

/** Decodes ids through a stream; checks on the way that nothing comes with half a character. */
function streamed(decode: (ids: readonly number[]) => string, ids: readonly number[]): string[] {
  const stream = new TextStream(decode);
  return [...ids.map((id) => stream.push(id)), stream.flush()];
}

describe("TextStream", () => {
  it("keeps the bytes of a character together", () => {
    const ids = [...new TextEncoder().encode("aé€😀b")];
    const pieces = streamed(bytes, ids);
    expect(pieces).toEqual(["a", "", "é", "", "", "€", "", "", "", "😀", "b", ""]);
  });

  it("gives bytes that are no character at the end, as U+FFFD", () => {
    expect(streamed(bytes, [0x61, 0xf0, 0x9f])).toEqual(["a", "", "", "\uFFFD"]);
  });

  it("goes on after bytes that are no character", () => {
    expect(streamed(bytes, [0xff, 0x61]).join("")).toBe("\uFFFDa");
  });

  it("keeps the space in front of a token that a decoder strips from the first one", () => {
    const words = ["", " the", " end"];
    const decode = (ids: readonly number[]) =>
      ids
        .map((id) => words[id])
        .join("")
        .replace(/^ /, "");
    expect(streamed(decode, [1, 2, 1])).toEqual(["the", " end", " the", ""]);
  });

  it("joins to what the whole decodes to, wherever it is cut", () => {
    const text = "naïve — 日本語 👩‍👩‍👧 z̈";
    const ids = [...new TextEncoder().encode(text)];
    expect(streamed(bytes, ids).join("")).toBe(text);
  });

  it("keeps back what the tokenizer's clean-up may still change", () => {
    const decode = (ids: readonly number[]) => String.fromCharCode(...ids).replaceAll(" .", ".");
    const stream = new TextStream(decode, / $/);
    const pieces = [..."a .b c"].map((letter) => stream.push(letter.charCodeAt(0)));
    expect(pieces).toEqual(["a", "", ".", "b", "", " c"]);
  });

  it("decodes only a few ids for each token", () => {
    let longest = 0;
    const stream = new TextStream((ids) => {
      longest = Math.max(longest, ids.length);
      return bytes(ids);
    });
    for (let i = 0; i < 1000; i++) stream.push(0x61);
    expect(longest).toBeLessThan(4);
  });
});
