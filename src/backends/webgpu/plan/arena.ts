import { bindingAlignment, type Scratch } from "../lowering/buffers.ts";
import type { Step } from "../lowering/emitter.ts";

/** Where in the arena each piece of scratch memory is, in bytes. */
export interface Arena {
  readonly offsets: ReadonlyMap<Scratch, number>;
  readonly size: number;
  /** What it would be if no two pieces shared memory. */
  readonly sizeWithoutSharing: number;
}

interface Lifetime {
  readonly memory: Scratch;
  /** The first and the last step that bind it. */
  readonly first: number;
  last: number;
}

/**
 * Gives scratch memory its place: the largest pieces first, each at the lowest offset where nothing is that lives at the
 * same time (greedy by size, as in Pisarchyk and Lee 2020, arXiv:2001.03288).
 */
export function planArena(steps: readonly Step[]): Arena {
  const lifetimes = lifetimesOf(steps);
  const offsets = new Map<Scratch, number>();
  const placed: { readonly lifetime: Lifetime; readonly from: number; readonly to: number }[] = [];
  let size = 0;
  let sizeWithoutSharing = 0;
  const bySize = [...lifetimes].sort((a, b) => b.memory.size - a.memory.size || a.first - b.first);
  for (const lifetime of bySize) {
    const bytes = align(lifetime.memory.size);
    const neighbours = placed
      .filter(({ lifetime: { first, last } }) => first <= lifetime.last && lifetime.first <= last)
      .sort((a, b) => a.from - b.from);
    let from = 0;
    for (const neighbour of neighbours) {
      if (neighbour.from - from >= bytes) break;
      from = Math.max(from, neighbour.to);
    }
    offsets.set(lifetime.memory, from);
    placed.push({ lifetime, from, to: from + bytes });
    size = Math.max(size, from + bytes);
    sizeWithoutSharing += bytes;
  }
  return { offsets, size, sizeWithoutSharing };
}

const align = (size: number): number => Math.ceil(size / bindingAlignment) * bindingAlignment;

function lifetimesOf(steps: readonly Step[]): readonly Lifetime[] {
  const lifetimes = new Map<Scratch, Lifetime>();
  steps.forEach(({ bindings }, at) => {
    for (const { memory } of Object.values(bindings)) {
      if (memory.kind !== "scratch") continue;
      const known = lifetimes.get(memory);
      if (known === undefined) lifetimes.set(memory, { memory, first: at, last: at });
      else known.last = at;
    }
  });
  return [...lifetimes.values()];
}
