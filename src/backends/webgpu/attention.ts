import { type Dim, floorDivideDims, moduloDims } from "../../tensor/dim.ts";
import { wgslFloat, wgslSize } from "./wgsl.ts";

/** Where rows of heads lie in a buffer, in elements: head h of token s begins at offset + s·tokenStride + h·headStride. */
export interface Rows {
  readonly tokenStride: Dim;
  readonly headStride: Dim;
  readonly offset: Dim;
}

/** Rows and the binding that shows them. Rows of one buffer have one binding: a buffer must not be bound twice. */
export interface BoundRows extends Rows {
  readonly binding: "qkv" | "kv" | "q" | "k" | "v" | "key_cache" | "value_cache";
}

/** Rows of a cache f32 [1, Hk, C, D], a position being a token. */
export const cacheRows = (
  binding: "key_cache" | "value_cache",
  capacity: number,
  width: number,
): BoundRows => ({
  binding,
  tokenStride: width,
  headStride: capacity * width,
  offset: 0,
});

/** Rotary embedding, as `nn.rope` has it. Bindings: `cos`, `sin` constant f32 [T, width / 2]. */
export interface Rotary {
  /** R: elements of a head that are rotated; the others pass. */
  readonly width: number;
  readonly interleaved: boolean;
  /** The row of the tables that serves token 0. */
  readonly first: Dim;
}

/** An RMS norm of each head of q and k before rotation. Bindings: `q_norm`, `k_norm` constant f32 [D]. */
export interface HeadNorm {
  readonly eps: number;
}

export interface Heads {
  readonly queryHeads: number;
  readonly keyHeads: number;
  /** D, of a row of q and of k. */
  readonly width: number;
  /** Of a row of v and of the output. */
  readonly valueWidth: number;
}

/** What becomes of a score; as `nn.sdpa` has it. */
export interface Scoring {
  readonly scale: number;
  /** 0: none. */
  readonly softcap: number;
  /** Keys that a query sees, up to its own; 0: all. */
  readonly window: number;
}

/** Elements that a load takes. */
export type VectorWidth = 4 | 2 | 1;

/** The widest vectors that all of these sizes are multiples of. */
export const vectorWidth = (...sizes: readonly Dim[]): VectorWidth =>
  ([4, 2] as const).find((width) => sizes.every((size) => moduloDims(size, width) === 0)) ?? 1;

export const stridesOf = (rows: Rows): readonly Dim[] => [rows.tokenStride, rows.headStride, rows.offset];

/** What a vector's width must divide for rotation: its pairs lie within a vector or in vectors of their own. */
export const rotarySizes = (rope: Rotary | undefined): readonly number[] =>
  rope === undefined ? [] : [rope.interleaved ? rope.width : rope.width / 2];

export const vectorType = (width: VectorWidth): string => (width === 1 ? "f32" : `vec${width}<f32>`);

export const dotProduct = (width: VectorWidth, a: string, b: string): string =>
  width === 1 ? `${a} * ${b}` : `dot(${a}, ${b})`;

/** Where a head's row begins, in vectors: a WGSL expression. */
export function rowStart(rows: Rows, width: VectorWidth, token: string, head: string): string {
  const size = (dim: Dim): string => wgslSize(floorDivideDims(dim, width));
  const parts = [
    rows.offset === 0 ? undefined : size(rows.offset),
    rows.tokenStride === 0 || token === "0u" ? undefined : `${token} * ${size(rows.tokenStride)}`,
    rows.headStride === 0 || head === "0u" ? undefined : `${head} * ${size(rows.headStride)}`,
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? "0u" : parts.join(" + ");
}

/** Type of the elements of `cos` and `sin`. */
export const tableType = (rope: Rotary, width: VectorWidth): string =>
  vectorType(rope.interleaved ? ((width === 1 ? 1 : width / 2) as VectorWidth) : width);

/** How a shader reads rows of q or k: normalised and rotated where there is a norm and a rotation. */
export interface RowReader {
  /** Of the WGSL function. */
  readonly name: string;
  readonly binding: string;
  /** Binding of the norm's scale. */
  readonly normScale: string;
  readonly vector: VectorWidth;
  /** D. */
  readonly width: number;
  readonly rope: Rotary | undefined;
  readonly norm: HeadNorm | undefined;
}

/**
 * WGSL functions: `NAME(base, unit, token, inverse)` gives vector `unit` of the row that begins at vector `base` and is of
 * token `token`; `NAME_inverse(base)` the reciprocal of the row's root mean square, 1 without a norm.
 */
export function rowReader(reader: RowReader): string {
  const { name, binding, normScale, vector, width, rope, norm } = reader;
  const type = vectorType(vector);
  const units = width / vector;
  const element = (unit: string): string =>
    norm === undefined
      ? `${binding}[base + ${unit}]`
      : `(${binding}[base + ${unit}] * inverse) * ${normScale}[${unit}]`;
  const inverse =
    norm === undefined
      ? "return 1.0;"
      : `var squares = 0.0;
  for (var at = base; at < base + ${units}u; at++) {
    let own = ${binding}[at];
    squares += ${dotProduct(vector, "own", "own")};
  }
  return 1.0 / sqrt(squares / ${wgslFloat(width)} + ${wgslFloat(norm.eps)});`;
  return `fn ${name}_inverse(base: u32) -> f32 {
  ${inverse}
}
fn ${name}(base: u32, unit: u32, token: u32, inverse: f32) -> ${type} {
  let own = ${element("unit")};
  ${rope === undefined ? "return own;" : rotation(rope, vector, width, element)}
}
`;
}

function rotation(
  rope: Rotary,
  vector: VectorWidth,
  width: number,
  element: (unit: string) => string,
): string {
  const rotated = rope.width / vector;
  const pass = rope.width < width ? `if (unit >= ${rotated}u) { return own; }\n  ` : "";
  const token = `(${wgslSize(rope.first)} + token)`;
  if (!rope.interleaved)
    return `${pass}let is_first = unit < ${rotated / 2}u;
  let partner = ${element(`select(unit - ${rotated / 2}u, unit + ${rotated / 2}u, is_first)`)};
  let angle = ${token} * ${rotated / 2}u + select(unit - ${rotated / 2}u, unit, is_first);
  return own * cos[angle] + select(partner, -partner, is_first) * sin[angle];`;
  if (vector === 1)
    return `${pass}let partner = ${element("(unit ^ 1u)")};
  let angle = ${token} * ${rotated / 2}u + unit / 2u;
  return own * cos[angle] + select(partner, -partner, unit % 2u == 0u) * sin[angle];`;
  const [repeated, turned] = vector === 4 ? [".xxyy", "-own.y, own.x, -own.w, own.z"] : ["", "-own.y, own.x"];
  return `${pass}let angle = ${token} * ${rotated}u + unit;
  return own * cos[angle]${repeated} + vec${vector}<f32>(${turned}) * sin[angle]${repeated};`;
}

/** The lowest f32: less than every score, so that it is the largest score of no keys. */
export const lowest = "-0x1.fffffep+127f";

/** A WGSL function `capped(score)`: c · tanh(score / c). */
export function softcapFunction({ softcap }: Scoring): string {
  if (softcap === 0) return "";
  // The series where 1 - e^-2x would lose digits.
  return `fn capped(score: f32) -> f32 {
  let x = score / ${wgslFloat(softcap)};
  let square = x * x;
  let near = x * (1.0 + square * (-0.33333334 + square * (0.13333334 + square * (-0.053968254 + square * 0.021869488))));
  let decay = exp(-2.0 * abs(x));
  let far = sign(x) * (1.0 - decay) / (1.0 + decay);
  return ${wgslFloat(softcap)} * select(far, near, abs(x) < 0.25);
}
`;
}

/** Why these heads cannot be attended with, as a sentence. */
export function refusalOfHeads({ queryHeads, keyHeads, width, valueWidth }: Heads): string | undefined {
  if (queryHeads % keyHeads !== 0)
    return `${queryHeads} query heads do not divide among ${keyHeads} key heads.`;
  if (width > 256 || valueWidth > 256) return `Heads of ${Math.max(width, valueWidth)} elements exceed 256.`;
  return undefined;
}

/** Why there is no such rotation, as a sentence. */
export function refusalOfRotary(rope: Rotary | undefined, width: number): string | undefined {
  if (rope === undefined) return undefined;
  if (rope.width > width || rope.width % 2 !== 0 || rope.width < 2)
    return `${rope.width} elements of ${width} cannot be rotated in pairs.`;
  return undefined;
}

/** The bindings of some rows, each once. */
export const bindingsOf = <A extends "value">(
  rows: readonly (BoundRows | undefined)[],
  type: string,
  access: A,
): Record<string, { type: string; access: A }> =>
  Object.fromEntries(
    rows.flatMap((each) => (each ? [[each.binding, { type: `array<${type}>`, access }]] : [])),
  );

/** `count` lines of WGSL, by their number. */
export const lines = (count: number, line: (i: number) => string, separator = "\n  "): string =>
  Array.from({ length: count }, (_, i) => line(i)).join(separator);
