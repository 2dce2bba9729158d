import type { Target } from "./target.ts";

/**
 * How the elements of a dense weight are stored, as in the program: floats, or int8 codes of which each row has one
 * f32 scale (`q8`). Rows lie one behind the other without padding.
 */
export const denseStorages = ["f32", "f16", "bf16", "q8"] as const;
export type DenseStorage = (typeof denseStorages)[number];

const wordElements = { f32: 1, f16: 2, bf16: 2, q8: 4 } as const;

/** Bytes of a row of `depth` elements. */
export const rowBytes = (storage: DenseStorage, depth: number): number => (depth * 4) / wordElements[storage];

/** How a shader reads the elements of a dense weight, some at once. */
export interface DenseChunk {
  /** Elements of a chunk: 16, 8, 4, or 1. It divides the elements of a row. */
  readonly elements: number;
  /** WGSL type of the weights' binding. */
  readonly type: string;
  /** WGSL type of a chunk as it is loaded. */
  readonly loaded: string;
  /** The WGSL function `chunk_at(i: u32)` that loads chunk i, and what `parts` calls. */
  readonly declarations: string;
  /** WGSL expressions for the elements of a chunk in a variable: vec4<f32> each, or one f32. */
  parts(variable: string): readonly string[];
}

/**
 * The largest chunk, up to `most` elements, that divides rows of `depth` elements. The weights' binding is called
 * `weights`.
 */
export function denseChunk(
  storage: DenseStorage,
  depth: number,
  target: Target,
  most: 16 | 4 = 16,
): DenseChunk {
  const perWord = wordElements[storage];
  if (most === 16 && depth % (4 * perWord) === 0) return chunkOfWords(storage, target, 4);
  if (depth % 4 === 0) return chunkOfWords(storage, target, 4 / perWord);
  return {
    elements: 1,
    type: "array<u32>",
    loaded: "f32",
    declarations: elementFunction[storage],
    parts: (variable) => [variable],
  };
}

function chunkOfWords(storage: DenseStorage, target: Target, words: number): DenseChunk {
  const loaded = words === 1 ? "u32" : `vec${words}<u32>`;
  const word = (variable: string, i: number) => (words === 1 ? variable : `${variable}.${"xyzw"[i]}`);
  const pair = storage === "f16" ? "unpack2x16float" : "bf16_pair";
  return {
    elements: words * wordElements[storage],
    type: `array<${loaded}>`,
    loaded,
    declarations: `${wordFunctions(storage, target)}fn chunk_at(i: u32) -> ${loaded} { return weights[i]; }`,
    parts(variable) {
      if (storage === "f32") return [`bitcast<vec4<f32>>(${variable})`];
      const indices = Array.from({ length: words }, (_, i) => i);
      if (storage === "q8") return indices.map((i) => `codes(${word(variable, i)})`);
      return indices
        .filter((i) => i % 2 === 0)
        .map((i) => `vec4<f32>(${pair}(${word(variable, i)}), ${pair}(${word(variable, i + 1)}))`);
    },
  };
}

function wordFunctions(storage: DenseStorage, target: Target): string {
  if (storage === "bf16")
    return "fn bf16_pair(word: u32) -> vec2<f32> { return bitcast<vec2<f32>>(vec2<u32>(word << 16u, word & 0xffff0000u)); }\n";
  if (storage !== "q8") return "";
  if (target.reduction === "serial")
    return "fn codes(word: u32) -> vec4<f32> { return vec4<f32>((bitcast<vec4<i32>>(vec4<u32>(word)) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u)); }\n";
  // GPUs convert integers at a fraction of the rate of additions. 2^23 + u has the integer u in its low bits.
  return `fn codes(word: u32) -> vec4<f32> {
  let bytes = (vec4<u32>(word ^ 0x80808080u) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(0xffu);
  return bitcast<vec4<f32>>(bytes | vec4<u32>(0x4b000000u)) - vec4<f32>(8388736.0);
}\n`;
}

const elementFunction: { readonly [S in DenseStorage]: string } = {
  f32: "fn chunk_at(i: u32) -> f32 { return bitcast<f32>(weights[i]); }",
  f16: "fn chunk_at(i: u32) -> f32 { return unpack2x16float(weights[i / 2u])[i % 2u]; }",
  bf16: "fn chunk_at(i: u32) -> f32 { return bitcast<f32>((weights[i / 2u] >> (i % 2u * 16u)) << 16u); }",
  q8: "fn chunk_at(i: u32) -> f32 { return f32(bitcast<i32>(weights[i / 4u] << (24u - i % 4u * 8u)) >> 24u); }",
};
