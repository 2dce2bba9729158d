import { alignUp } from "../tensor/align.ts";

/** A piece of memory that is needed for a while. */
export interface Piece<K> {
  readonly key: K;
  /** Bytes. */
  readonly size: number;
  /** The first and the last step that uses it. */
  readonly first: number;
  readonly last: number;
}

/** Collects when each piece of memory is needed: from its first use to its last. */
export class Lifetimes<K> {
  readonly #pieces = new Map<K, Piece<K> & { last: number }>();

  /** Steps come in order. @param size of the piece, in bytes */
  use(key: K, size: number, step: number): void {
    const known = this.#pieces.get(key);
    if (known === undefined) this.#pieces.set(key, { key, size, first: step, last: step });
    else known.last = step;
  }

  get pieces(): readonly Piece<K>[] {
    return [...this.#pieces.values()];
  }
}

/**
 * Gives pieces of memory their places: the largest first, each at the lowest offset where nothing is that lives at the
 * same time (greedy by size, as in Pisarchyk and Lee 2020, arXiv:2001.03288).
 *
 * @param alignment of every offset, in bytes
 * @returns offsets, and the size of it all, in bytes
 */
export function placeBySize<K>(
  pieces: readonly Piece<K>[],
  alignment: number,
): { readonly offsets: ReadonlyMap<K, number>; readonly size: number } {
  const offsets = new Map<K, number>();
  const placed: { readonly piece: Piece<K>; readonly from: number; readonly to: number }[] = [];
  let size = 0;
  for (const piece of pieces.toSorted((a, b) => b.size - a.size || a.first - b.first)) {
    const bytes = alignUp(piece.size, alignment);
    const neighbours = placed
      .filter(({ piece: { first, last } }) => first <= piece.last && piece.first <= last)
      .sort((a, b) => a.from - b.from);
    let from = 0;
    for (const neighbour of neighbours) {
      if (neighbour.from - from >= bytes) break;
      from = Math.max(from, neighbour.to);
    }
    offsets.set(piece.key, from);
    placed.push({ piece, from, to: from + bytes });
    size = Math.max(size, from + bytes);
  }
  return { offsets, size };
}
