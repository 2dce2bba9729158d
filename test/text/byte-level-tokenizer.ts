/**
 * A small tokenizer.json of the byte-level kind: ids 0 and 1 are special, id b + 2 is byte b, and a few
 * merges follow. A begin-of-sequence token is put in front by its template.
 */
export function byteLevelTokenizer(options: { readonly template?: boolean } = {}): string {
  const letters = byteLetters();
  const word = (text: string): string =>
    [...new TextEncoder().encode(text)].map((byte) => letters[byte]).join("");
  const merges = [
    ["h", "e"],
    ["l", "l"],
    ["he", "ll"],
    [" ", "w"],
  ].map((pair) => pair.map(word));
  const tokens = [bos, eos, ...letters, ...merges.map((pair) => pair.join(""))];
  return JSON.stringify({
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: [bos, eos].map((content, id) => ({ id, content, special: true, normalized: false })),
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: options.template === false ? null : template,
    decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: "BPE", vocab: Object.fromEntries(tokens.map((token, id) => [token, id])), merges },
  });
}

export const bos = "<s>";
export const eos = "</s>";
export const byteId = (byte: number): number => byte + 2;
export const mergeId = (index: number): number => 2 + 256 + index;
/** Ids that the tokenizer has. */
export const tokenCount = 2 + 256 + 4;

const template = {
  type: "TemplateProcessing",
  single: [{ SpecialToken: { id: bos, type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
  pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
  special_tokens: { [bos]: { id: bos, ids: [0], tokens: [bos] } },
};

/** The printable character that stands for each byte in byte-level vocabularies. */
function byteLetters(): string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte !== 173);
    return String.fromCharCode(isPrintable ? byte : next++);
  });
}
