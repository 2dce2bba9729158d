import { alignUp } from "../../../tensor/align.ts";
import { Lifetimes, placeBySize } from "../../arena.ts";
import { bindingAlignment, type Scratch } from "../lowering/buffers.ts";
import type { Step } from "../lowering/emitter.ts";

/** Where in the arena each piece of scratch memory is, in bytes. */
export interface Arena {
  readonly offsets: ReadonlyMap<Scratch, number>;
  readonly size: number;
  /** What it would be if no two pieces shared memory. */
  readonly sizeWithoutSharing: number;
}

/** Gives scratch memory its place: pieces that no step needs at the same time share it. */
export function planArena(steps: readonly Step[]): Arena {
  const lifetimes = new Lifetimes<Scratch>();
  steps.forEach(({ bindings }, at) => {
    for (const { memory } of Object.values(bindings))
      if (memory.kind === "scratch") lifetimes.use(memory, memory.size, at);
  });
  const { pieces } = lifetimes;
  return {
    ...placeBySize(pieces, bindingAlignment),
    sizeWithoutSharing: pieces.reduce((sum, { size }) => sum + alignUp(size, bindingAlignment), 0),
  };
}
