import type { Scratch } from "../lowering/buffers.ts";
import type { Step } from "../lowering/emitter.ts";
import type { Arena } from "./arena.ts";

/**
 * Proves that no step destroys what a later one needs: runs through the steps backwards, keeps what is needed further
 * on, and looks at the memory of every piece. It shares nothing with `planArena`.
 *
 * @returns a sentence for the first fault
 */
export function arenaFault(steps: readonly Step[], { offsets, size }: Arena): string | undefined {
  const begun = new Map<Scratch, number>();
  steps.forEach(({ bindings }, at) => {
    for (const { memory } of Object.values(bindings))
      if (memory.kind === "scratch" && !begun.has(memory)) begun.set(memory, at);
  });
  const needed = new Set<Scratch>();
  for (let at = steps.length - 1; at >= 0; at--) {
    const { kernel, bindings } = steps[at]!;
    for (const { memory, offset, size: bytes } of Object.values(bindings)) {
      if (memory.kind !== "scratch") continue;
      if (offset + bytes > memory.size) return `step ${at}, ${kernel}, binds more than its memory`;
      needed.add(memory);
    }
    const ranges = [...needed].map((memory) => ({ from: offsets.get(memory) ?? -1, bytes: memory.size }));
    ranges.sort((a, b) => a.from - b.from);
    let end = 0;
    for (const { from, bytes } of ranges) {
      if (from < end)
        return `at step ${at}, ${kernel}, two values are in one place, byte ${from} of the arena`;
      end = from + bytes;
    }
    if (end > size) return `at step ${at}, ${kernel}, a value ends at byte ${end} of an arena of ${size}`;
    for (const memory of needed) if (begun.get(memory) === at) needed.delete(memory);
  }
  return undefined;
}
