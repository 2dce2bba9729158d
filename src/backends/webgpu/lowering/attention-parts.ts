import type { Node, Value } from "../../../ir/graph.ts";
import { type Dim, multiplyDims } from "../../../tensor/dim.ts";
import type { BoundRows, Rotary, Rows } from "../attention.ts";
import type { AttentionMask } from "../kernels/attention-prefill/params.ts";
import type { Memory, Slice } from "./buffers.ts";
import type { Emitter } from "./emitter.ts";

/** Attributes of nn.sdpa. */
export interface ScoringAttributes {
  readonly scale: number;
  readonly softcap: number;
  readonly window: number;
  readonly causal: boolean;
}

/** The heads of a token side by side: [tokens, heads, width]. */
export const packedRows = (heads: number, width: number): Rows => ({
  tokenStride: heads * width,
  headStride: width,
  offset: 0,
});

/** [1, heads, tokens, width], as the ops have it. */
export const rowsByHead = (tokens: Dim, width: number): Rows => ({
  tokenStride: width,
  headStride: multiplyDims(tokens, width),
  offset: 0,
});

/** The position of a call's first token: P, or 0 for a node without one. */
export function positionOf(node: Node): Dim {
  const [start] = node.optional("start_pos")?.contents ?? [0];
  if (start === undefined) throw new Error(`${node.op} has a position that is no size`);
  return start;
}

export function rotaryOf(emitter: Emitter, rope: Node | undefined): Rotary | undefined {
  if (rope === undefined) return undefined;
  const half = rope.arg("cos").type.shape.at(-1) as number;
  return {
    width: 2 * half,
    interleaved: rope.attrs.interleaved as boolean,
    first: emitter.size(positionOf(rope)),
  };
}

/** Names of bindings, of which one memory has only one: those that share it share a name too. */
export function nameBindings<K extends "query" | "key" | "value", T>(
  things: Readonly<Record<K, T>>,
  memoryOf: (thing: T) => Memory,
  own: Readonly<Record<K, BoundRows["binding"]>>,
): Readonly<Record<K, BoundRows["binding"]>> {
  const entries = Object.entries<T>(things) as [K, T][];
  const sharing = (memory: Memory) =>
    entries.filter(([, other]) => memoryOf(other) === memory).map(([name]) => name);
  return Object.fromEntries(
    entries.map(([name, thing]) => {
      const names = sharing(memoryOf(thing));
      return [name, names.length === 1 ? own[name] : names.includes("query" as K) ? "qkv" : "kv"];
    }),
  ) as Record<K, BoundRows["binding"]>;
}

/** The mask of an nn.sdpa, if it has one. */
export function maskOf(
  emitter: Emitter,
  sdpa: Node,
): { readonly params: AttentionMask; readonly bindings: { readonly mask: Slice } } | undefined {
  const mask = sdpa.optional("mask");
  if (mask === undefined) return undefined;
  const [, heads, queries, keys] = strides(emitter, mask);
  return {
    params: {
      kind: mask.type.dtype === "bool" ? "bool" : "float",
      access: mask.def.kind === "const" ? "constant" : "value",
      headStride: heads!,
      queryStride: queries!,
      keyStride: keys!,
    },
    bindings: { mask: emitter.read(mask) },
  };
}

/** Of four axes: 0 along those that are broadcast. */
function strides(emitter: Emitter, value: Value): readonly Dim[] {
  const shape = emitter.shape(value);
  const four = [...Array.from({ length: 4 - shape.length }, () => 1), ...shape];
  let stride: Dim = 1;
  const result: Dim[] = [];
  for (const size of four.toReversed()) {
    result.unshift(size === 1 ? 0 : stride);
    stride = multiplyDims(stride, size);
  }
  return result;
}
