import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BitnetcError } from "../../src/errors.ts";
import type { ProgramGraph } from "../../src/runtime/graph.ts";
import type {
  BindingAccess,
  Plan,
  PlanBuffer,
  PlanStep,
  PlanVariant,
} from "../../src/runtime/webgpu/plan.ts";
import { stepClasses, weightLayouts } from "../../src/runtime/webgpu/plan.ts";
import { planFault } from "../../src/serialize/check-plan.ts";
import { readDelegate } from "../../src/serialize/delegate.ts";
import { encodeDelegate } from "../../src/serialize/delegate-encoder.ts";
import { writeDelegate } from "../../src/serialize/delegate-writer.ts";
import * as fb from "../../src/serialize/generated/read/bitnetc.ts";
import { addDims, ceilDivideDims, type Dim, multiplyDims, symbol } from "../../src/tensor/dim.ts";
import { fromJson, toJson } from "./flatc.ts";
import { noise, sampleBlobs, sampleGraph } from "./sample.ts";
import { samplePlan } from "./sample-plan.ts";

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof BitnetcError) return error.code;
    throw error;
  }
  return "none";
};

test("a plan with one of everything comes back as it was", () => {
  const bytes = writeDelegate(sampleGraph, sampleBlobs, samplePlan);
  expect(readDelegate(bytes)).toEqual({
    version: 2,
    graph: sampleGraph,
    blobs: sampleBlobs,
    plan: samplePlan,
  });
  expect(Object.hasOwn(readDelegate(bytes).plan!.variants[0]!.needs.limits, "__proto__")).toBe(true);
  expect(writeDelegate(sampleGraph, sampleBlobs, samplePlan)).toEqual(bytes);
  expect(readDelegate(writeDelegate(sampleGraph, sampleBlobs))).not.toHaveProperty("plan");
});

test("the schema's names are in the order of the plan's", () => {
  const names = (members: object): string[] =>
    Object.values(members).filter((member) => typeof member === "string");
  expect(names(fb.StepClass)).toEqual(stepClasses);
  expect(names(fb.WeightLayout).map((name) => name.replace("_", "-"))).toEqual(weightLayouts);
});

interface PlanJson {
  readonly ranges: object[];
  readonly bindings: number[];
  readonly steps: Record<string, unknown>[];
  readonly variants: { readonly schedules: { readonly steps: number[] }[]; greedy?: number[] }[];
  readonly buffers: object[];
}

test("flatc reads what is written, and what steps share is there once", () => {
  const nodes = sampleGraph.nodes.map((node) => ({ ...node, attrs: {} }));
  const bytes = writeDelegate({ ...sampleGraph, nodes }, sampleBlobs, samplePlan);
  const { plan, sizes } = toJson("delegate", bytes) as { plan: PlanJson; sizes: string[] };
  expect(plan.steps.length).toBe(6);
  expect(plan.variants[0]!.schedules[0]!.steps).toEqual([0, 1, 1]);
  expect(plan.variants[1]).not.toHaveProperty("candidates");
  expect(plan.variants[1]!.greedy).toEqual([]);
  const linear = plan.steps[1]!;
  expect(linear).toMatchObject({ kernel: "ternary-gemv", source: "model.layers.0" });
  expect(sizes[linear.x as number]).toBe("floordiv(s0 + 3, 4)");
  expect(plan.ranges[plan.bindings[linear.bindings as number]!]).toEqual({ offset: 256, size: 1024 });
  expect(plan.ranges.length).toBe(8);
  expect(plan.buffers.map((buffer) => ({ kind: "weights", ...buffer }).kind)).toEqual(
    samplePlan.buffers.map(({ kind }) => kind),
  );
});

const name = fc.string({ unit: "grapheme", maxLength: 6 });
const texts = fc.array(name, { maxLength: 3 });
const size = fc.oneof(fc.nat(1 << 20), fc.integer({ min: 0, max: 2 ** 40 })).map((n) => 4 * n);
const seq = symbol("seq", 64, 1);
const past = symbol("past len", 960);
const workgroups: fc.Arbitrary<Dim> = fc
  .tuple(fc.constantFrom<Dim>(seq, past, 1, 3), fc.nat(60), fc.nat(60), fc.integer({ min: 1, max: 64 }))
  .map(([base, times, more, by]) => ceilDivideDims(addDims(multiplyDims(base, times), more), by));

const buffer: fc.Arbitrary<PlanBuffer> = fc.oneof(
  fc
    .tuple(
      size,
      fc.array(
        fc.record({
          value: fc.constantFrom(3, 4, 7),
          layout: fc.constantFrom(...weightLayouts),
          from: size,
          size: fc.nat(1000),
          offset: size,
        }),
        { maxLength: 3 },
      ),
    )
    .map(([rest, parts]) => {
      const size = rest + Math.max(0, ...parts.map((part) => part.offset + part.size));
      return { kind: "weights" as const, size: Math.ceil(size / 4) * 4, parts };
    }),
  fc.record({ kind: fc.constant("scratch" as const), offset: size.map((n) => n * 64), size }),
  fc.constant({ kind: "symbols" as const }),
  fc.record({ kind: fc.constant("sampled" as const), size }),
  fc.record({ kind: fc.constant("candidates" as const), count: fc.nat(100) }),
);

const access = fc.constantFrom<BindingAccess>("constant", "value", "symbols");
const plans: fc.Arbitrary<Plan> = fc
  .record({
    symbols: fc.subarray(["seq", "past len"], { minLength: 2 }),
    modules: fc.array(name, { minLength: 1, maxLength: 3 }),
    pipelines: fc.array(fc.record({ label: name, module: fc.nat(), bindings: fc.array(access) }), {
      minLength: 1,
      maxLength: 3,
    }),
    more: fc.array(buffer, { maxLength: 5 }),
    seeds: fc.array(fc.tuple(name, fc.constantFrom(...stepClasses), name, fc.nat(), workgroups), {
      maxLength: 5,
    }),
    picks: fc.array(fc.nat(), { maxLength: 8 }),
    variants: fc.array(
      fc.record({
        name,
        features: texts,
        languageFeatures: texts,
        limits: fc.dictionary(name, size),
        minSubgroupSize: fc.nat(128),
        software: fc.boolean(),
        names: texts,
        when: fc.array(
          fc.record({ symbol: fc.constantFrom("seq", "past len"), min: fc.nat(5), max: fc.nat(9) }),
        ),
        greedy: fc.boolean(),
        candidates: fc.boolean(),
      }),
      { maxLength: 3 },
    ),
  })
  .map((seed): Plan => {
    const buffers: PlanBuffer[] = [
      { kind: "weights", size: 4096, parts: [] },
      { kind: "state", name: "past_key_values.0.key", size: 4096 },
      { kind: "input", name: "tokens", size: 256 },
      { kind: "output", name: "logits", size: 4096 },
      ...seed.more,
    ];
    const pipelines = seed.pipelines.map((pipeline) => ({
      ...pipeline,
      module: pipeline.module % seed.modules.length,
      bindings: pipeline.bindings.slice(0, 9),
    }));
    const steps = seed.seeds.map(([kernel, stepClass, source, pick, count]): PlanStep => {
      const pipeline = pick % pipelines.length;
      const accesses = pipelines[pipeline]!.bindings.filter((access) => access !== "symbols");
      const bindings = accesses.map((access, i) => ({
        buffer: access === "constant" ? 0 : 1 + ((pick + i) % 3),
        offset: 0,
        size: 4 * (1 + ((pick + i) % 64)),
      }));
      return { kernel, class: stepClass, source, pipeline, bindings, workgroups: [count, 1, count] };
    });
    const picked = seed.picks.flatMap((pick) => (steps.length === 0 ? [] : [steps[pick % steps.length]!]));
    const variants = seed.variants.map(
      ({ name, names, when, greedy, candidates, ...needs }): PlanVariant => ({
        name,
        needs,
        arenaSize: 2 ** 50,
        schedules: names.map((name) => ({
          name,
          when: when.map(({ symbol, min, max }) => ({ symbol, min: 1 + min, max: 1 + min + max })),
          steps: picked,
        })),
        greedy: greedy ? steps : undefined,
        candidates: candidates ? picked : undefined,
      }),
    );
    return { symbols: seed.symbols, modules: seed.modules, pipelines, buffers, variants };
  });

test("any plan comes back as it was", () => {
  fc.assert(
    fc.property(plans, (plan) => {
      fc.pre(
        plan.variants.every(({ needs }) => (needs.limits.maxComputeWorkgroupsPerDimension ?? 65535) >= 65535),
      );
      expect(planFault(plan, sampleGraph)).toBeUndefined();
      expect(readDelegate(writeDelegate(sampleGraph, sampleBlobs, plan)).plan).toEqual(plan);
    }),
    { numRuns: 300 },
  );
});

describe("what cannot be run is not written, and what a runtime would stumble over is not read", () => {
  type Mutable<T> = T extends readonly (infer U)[]
    ? Mutable<U>[]
    : T extends object
      ? { -readonly [K in keyof T]: Mutable<T[K]> }
      : T;
  const changed = (change: (plan: Mutable<Plan>) => void): Plan => {
    // What is one object in the sample is several in the copy.
    const plan = JSON.parse(JSON.stringify(samplePlan)) as Mutable<Plan>;
    change(plan);
    return plan as unknown as Plan;
  };
  const linear = (plan: Mutable<Plan>) => plan.variants[1]!.schedules[0]!.steps[0]!;
  const part = (plan: Mutable<Plan>) =>
    (plan.buffers[0] as unknown as { parts: Record<string, number>[] }).parts[1]!;
  const sized = (plan: Mutable<Plan>, i: number) => plan.buffers[i] as unknown as Record<string, number>;

  const faults: Readonly<Record<string, readonly [(plan: Mutable<Plan>) => void, string]>> = {
    "a symbol twice": [(plan) => plan.symbols.push("seq"), "symbols are seq,past len,seq"],
    "a module that is not there": [(plan) => (plan.pipelines[2]!.module = 3), "module 3"],
    "too many bindings": [(plan) => (plan.pipelines[1]!.bindings = Array(17).fill("symbols")), "17 bindings"],
    "a buffer of half a word": [(plan) => (sized(plan, 6).size = 255), "buffer 6 has 255 bytes"],
    "weights outside of their buffer": [
      (plan) => (part(plan).size = 16388),
      "16388 bytes of value 3 are at 256",
    ],
    "weights between words": [(plan) => (part(plan).offset = 2), "at 2 of buffer 0"],
    "weights that are no constant": [(plan) => (part(plan).value = 0), "16384 bytes of value 0 are"],
    "a state that the graph has not": [
      (plan) => (plan.buffers[1] = { kind: "state", name: "tokens", size: 262144 }),
      "state tokens",
    ],
    "an input that the graph has not": [
      (plan) => (plan.buffers[2] = { kind: "input", name: "logits", size: 256 }),
      "input logits",
    ],
    "no buffer for an output": [
      (plan) => (plan.buffers[3] = { kind: "scratch", offset: 0, size: 4096 }),
      "no buffer is for the output logits",
    ],
    "two buffers for an input": [
      (plan) => plan.buffers.push({ kind: "input", name: "tokens", size: 256 }),
      "buffer 8 is for the input tokens",
    ],
    "a pipeline that is not there": [(plan) => (linear(plan).pipeline = 3), "3 bindings for pipeline 3"],
    "a buffer that is not there": [
      (plan) => (linear(plan).bindings[0]!.buffer = 8),
      "of buffer 8, of undefined",
    ],
    "a range outside of its buffer": [
      (plan) => (linear(plan).bindings[1]!.size = 772),
      "772 bytes at 512 + 256 of buffer 4, of 1024",
    ],
    "a range of nothing": [(plan) => (linear(plan).bindings[1]!.size = 0), "0 bytes at 512 + 256"],
    "a range between words": [(plan) => (linear(plan).bindings[1]!.size = 6), "6 bytes at 512 + 256"],
    "a range that WebGPU cannot bind": [
      (plan) => Object.assign(linear(plan).bindings[2]!, { offset: 128, size: 4 }),
      "4 bytes at 0 + 128",
    ],
    "scratch that WebGPU cannot bind": [(plan) => (sized(plan, 4).offset = 4), "at 4 + 256"],
    "scratch beyond the arena": [
      (plan) => (plan.variants[0]!.arenaSize = 1532),
      "at 512 + 256 of buffer 4, of 1024, in an arena of 1532",
    ],
    "weights that are written": [
      (plan) => (linear(plan).bindings[2] = { buffer: 0, offset: 0, size: 4 }),
      "weights to write to",
    ],
    "a schedule for a symbol that is not there": [
      (plan) => (plan.variants[0]!.schedules[0]!.when[0]!.symbol = "x"),
      "for x from 1 to 1",
    ],
    "a schedule for no size": [
      (plan) => (plan.variants[0]!.schedules[0]!.when[0]!.max = 0),
      "for seq from 1 to 0",
    ],
    "too many workgroups": [
      (plan) => (linear(plan).workgroups[1] = 65536),
      "65536 workgroups, 65536 to 65536",
    ],
    "less than no workgroups": [
      (plan) => (plan.variants[1]!.schedules[0]!.steps[0]!.workgroups[2] = -1),
      "-1 workgroups",
    ],
    "a size that the plan has not": [
      (plan) => {
        plan.symbols = ["seq"];
        plan.variants[0]!.schedules[1]!.when.pop();
        linear(plan).workgroups[1] = past as Mutable<Dim>;
      },
      "past len workgroups",
    ],
  };
  /** The others are for WebGPU to refuse. */
  const leadsNowhere = new Set([
    "a module that is not there",
    "a buffer of half a word",
    "weights that are no constant",
    "no buffer for an output",
    "a pipeline that is not there",
    "a buffer that is not there",
  ]);
  for (const [what, [change, message]] of Object.entries(faults)) {
    test(what, () => {
      const plan = changed(change);
      expect(planFault(plan, sampleGraph)).toContain(message);
      expect(() => writeDelegate(sampleGraph, sampleBlobs, plan)).toThrow(message);
      const bytes = encodeDelegate({ graph: sampleGraph, blobs: sampleBlobs, plan }, 2);
      expect(codeOf(() => readDelegate(bytes))).toBe(leadsNowhere.has(what) ? "program-corrupt" : "none");
    });
  }

  test("a step with more bindings than its pipeline", () => {
    const plan = changed((plan) => linear(plan).bindings.pop());
    expect(planFault(plan, sampleGraph)).toContain("2 bindings for pipeline 0");
  });

  test("more workgroups than a schedule allows are refused, but not than another would need", () => {
    const many = multiplyDims(seq, 2000);
    const plan = changed((plan) => {
      plan.variants[0]!.schedules[0]!.steps[1]!.workgroups[0] = many as Mutable<Dim>;
    });
    expect(planFault(plan, sampleGraph)).toBeUndefined();
    const wide = changed((plan) => {
      plan.variants[0]!.schedules[1]!.steps[0]!.workgroups[0] = many as Mutable<Dim>;
    });
    expect(planFault(wide, sampleGraph)).toContain("2000*seq workgroups, 4000 to 128000");
    const able = changed((plan) => {
      plan.variants[0]!.schedules[1]!.steps[0]!.workgroups[0] = many as Mutable<Dim>;
      plan.variants[0]!.needs.limits.maxComputeWorkgroupsPerDimension = 128000;
    });
    expect(planFault(able, sampleGraph)).toBeUndefined();
  });

  const encoded: Readonly<Record<string, object>> = {
    "a range that is not there": { ranges: [], bindings: [0] },
    "a step that is not there": { variants: [{ name: "a", greedy: [0] }] },
    "a list of bindings that is not there": {
      pipelines: [{ label: "", bindings: ["value"] }],
      steps: [{ kernel: "a", source: "b", bindings: 0 }],
    },
    "a size that is not there": {
      pipelines: [{ label: "", bindings: [] }],
      steps: [{ kernel: "a", source: "b", x: 1 }],
    },
    "an access of an unknown kind": { pipelines: [{ label: "", bindings: [3] }] },
    "a buffer of an unknown kind": { buffers: [{ kind: 9 }] },
    "a layout of an unknown kind": { buffers: [{ parts: [{ layout: 2 }] }] },
    "a size beyond all memory": { buffers: [{ size: "18446744073709551615" }] },
    "a variant without a name": { variants: [{}] },
  };
  for (const [what, plan] of Object.entries(encoded)) {
    test(what, () =>
      expect(codeOf(() => readDelegate(fromJson("delegate", { plan, sizes: ["1"] })))).toBe(
        "program-corrupt",
      ),
    );
  }
});

describe("damage is refused or read as something", () => {
  const bytes = writeDelegate(sampleGraph, sampleBlobs, samplePlan);
  const codes = ["none", "program-corrupt", "program-version"];

  test("at every length", () => {
    for (let length = 0; length < bytes.length; length += 7)
      expect(codeOf(() => readDelegate(bytes.slice(0, length)))).toBe("program-corrupt");
  });

  test("whatever byte is another", () => {
    const found = new Set<string>();
    for (let i = 0; i < bytes.length; i++) {
      for (const flip of [1, 0xff]) {
        const changed = bytes.slice();
        changed[i]! ^= flip;
        found.add(codeOf(() => readDelegate(changed)));
      }
    }
    expect([...found].sort()).toEqual(codes);
  });

  test("whatever stretch is noise", () => {
    for (let seed = 0; seed < 500; seed++) {
      const changed = bytes.slice();
      changed.set(noise(1 + (seed % 40), seed), 8 + ((seed * 7919) % (bytes.length - 50)));
      expect(codes).toContain(codeOf(() => readDelegate(changed)));
    }
  });
});

test("a plan of a large model is small and read quickly", () => {
  const layers = 30;
  const steps = (variant: number): PlanStep[] =>
    Array.from({ length: 7 * layers }, (_, i) => {
      const [step] = samplePlan.variants[1]!.schedules[0]!.steps;
      const at = 256 * ((i + variant) % 60);
      const bindings = [{ buffer: 0, offset: at, size: 1024 }, ...step!.bindings.slice(1)];
      return { ...step!, source: `model.layers.${Math.floor(i / 7)}`, bindings };
    });
  const [variant] = samplePlan.variants;
  const variants = Array.from({ length: 6 }, (_, i) => ({
    ...variant!,
    schedules: variant!.schedules.map((schedule, j) => ({ ...schedule, steps: steps(2 * i + j) })),
  }));
  const plan = { ...samplePlan, variants };
  const graph: ProgramGraph = sampleGraph;
  const bytes = writeDelegate(graph, sampleBlobs, plan);
  const without = writeDelegate(graph, sampleBlobs);
  const count = 6 * 2 * 7 * layers;
  expect((bytes.length - without.length) / count).toBeLessThan(64);
  expect(readDelegate(bytes).plan).toEqual(plan);
});
