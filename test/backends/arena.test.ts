import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Scratch } from "../../src/backends/webgpu/lowering/buffers.ts";
import type { Step } from "../../src/backends/webgpu/lowering/emitter.ts";
import { planArena } from "../../src/backends/webgpu/plan/arena.ts";
import { arenaFault } from "../../src/backends/webgpu/plan/verify.ts";

/** Steps that bind the given pieces of memory, whole. */
function stepsOf(bound: readonly (readonly Scratch[])[]): readonly Step[] {
  return bound.map((memories) => ({
    kernel: "test",
    class: "elementwise",
    source: "test",
    code: { wgsl: "", bindings: [], workgroups: [1, 1, 1] },
    bindings: Object.fromEntries(
      memories.map((memory, i) => [`m${i}`, { memory, offset: 0, size: memory.size }]),
    ),
  }));
}

const scratch = (size: number): Scratch => ({ kind: "scratch", size });

/** Steps over up to twelve pieces of memory, each bound by any of them. */
const anySteps = fc
  .tuple(
    fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 12 }),
    fc.array(fc.array(fc.nat(11), { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 20 }),
  )
  .map(([sizes, bound]) => {
    const memories = sizes.map(scratch);
    return stepsOf(bound.map((indices) => [...new Set(indices.map((i) => memories[i % memories.length]!))]));
  });

describe("the arena", () => {
  test("keeps apart what lives at the same time", () => {
    fc.assert(
      fc.property(anySteps, (steps) => {
        const arena = planArena(steps);
        expect(arenaFault(steps, arena)).toBeUndefined();
        expect(arena.size).toBeLessThanOrEqual(arena.sizeWithoutSharing);
        for (const offset of arena.offsets.values()) expect(offset % 256).toBe(0);
      }),
    );
  });

  test("shares memory between what does not", () => {
    const [a, b, c] = [scratch(1000), scratch(1000), scratch(1000)];
    const arena = planArena(stepsOf([[a, b], [b, c], [c]]));
    expect(arena).toMatchObject({ size: 2048, sizeWithoutSharing: 3072 });
    expect(arena.offsets.get(a)).toBe(arena.offsets.get(c));
  });
});

describe("the verifier", () => {
  const [a, b, c] = [scratch(512), scratch(512), scratch(512)];
  const steps = stepsOf([[a, b], [b, c], [c]]);
  const faultOf = (offsets: readonly number[], size: number) =>
    arenaFault(steps, {
      offsets: new Map([a, b, c].map((memory, i) => [memory, offsets[i]!])),
      size,
      sizeWithoutSharing: 1536,
    });

  test.each([
    ["two values of one step in one place", [0, 0, 512], 1024, /step 0.*two values/],
    ["values that overlap in part", [0, 256, 1024], 2048, /two values/],
    ["a value over one that is needed later", [0, 512, 768], 2048, /step 1.*two values/],
    ["a value beyond the end", [0, 512, 1024], 1024, /ends at byte 1536 of an arena of 1024/],
  ])("finds %s", (_, offsets, size, fault) => {
    expect(faultOf(offsets, size)).toMatch(fault);
  });

  test("finds nothing in a good plan", () => {
    expect(faultOf([0, 512, 0], 1024)).toBeUndefined();
  });

  test("finds a binding beyond its memory", () => {
    const [step] = stepsOf([[a]]);
    const wide = { ...step!, bindings: { m: { memory: a, offset: 256, size: 512 } } };
    const arena = { offsets: new Map([[a, 0]]), size: 512, sizeWithoutSharing: 512 };
    expect(arenaFault([wide], arena)).toMatch(/binds more/);
  });
});
