import type { DeviceNeeds, Plan, PlanSchedule, PlanStep, PlanVariant } from "../../runtime/webgpu/plan.ts";
import { countNames, formatBytes, formatCounts } from "../format.ts";

/** What a plan for a GPU is made of. Sizes are bytes. */
export interface PlanDescription {
  readonly symbols: readonly string[];
  /** WGSL. */
  readonly modules: { readonly count: number; readonly bytes: number };
  readonly pipelines: number;
  readonly buffers: readonly BufferDescription[];
  readonly variants: readonly VariantDescription[];
}

interface BufferDescription {
  readonly kind: string;
  /** Of a state, an input or an output. */
  readonly name?: string;
  readonly bytes: number;
  /** Of weights: how many constants are in it, or parts of constants. */
  readonly parts?: number;
}

interface VariantDescription {
  readonly name: string;
  readonly needs: DeviceNeeds;
  readonly arenaBytes: number;
  readonly schedules: readonly (Pick<PlanSchedule, "name" | "when"> & StepCounts)[];
  readonly greedy?: StepCounts;
  readonly candidates?: StepCounts;
}

interface StepCounts {
  readonly dispatches: number;
  readonly classes: Readonly<Record<string, number>>;
  readonly kernels: Readonly<Record<string, number>>;
}

export function describePlan({ symbols, modules, pipelines, buffers, variants }: Plan): PlanDescription {
  const encoder = new TextEncoder();
  return {
    symbols,
    modules: {
      count: modules.length,
      bytes: modules.reduce((sum, module) => sum + encoder.encode(module).length, 0),
    },
    pipelines: pipelines.length,
    // Scratch is told by the arena it is in; the symbols are a few words.
    buffers: buffers.flatMap((buffer): BufferDescription[] => {
      if (buffer.kind === "scratch" || buffer.kind === "symbols") return [];
      if (buffer.kind === "candidates") return [{ kind: buffer.kind, bytes: 8 * buffer.count }];
      const { kind, size: bytes } = buffer;
      if (kind === "weights") return [{ kind, bytes, parts: buffer.parts.length }];
      return [{ kind, ...("name" in buffer && { name: buffer.name }), bytes }];
    }),
    variants: variants.map(describeVariant),
  };
}

const describeVariant = ({
  name,
  needs,
  arenaSize,
  schedules,
  greedy,
  candidates,
}: PlanVariant): VariantDescription => ({
  name,
  needs,
  arenaBytes: arenaSize,
  schedules: schedules.map(({ name, when, steps }) => ({ name, when, ...countSteps(steps) })),
  ...(greedy && { greedy: countSteps(greedy) }),
  ...(candidates && { candidates: countSteps(candidates) }),
});

const countSteps = (steps: readonly PlanStep[]): StepCounts => ({
  dispatches: steps.length,
  classes: countNames(steps.map((step) => step.class)),
  kernels: countNames(steps.map(({ kernel }) => kernel)),
});

/**
 * A plan for people.
 * @param list makes a titled list, indented
 */
export function planText(
  { modules, pipelines, buffers, variants }: PlanDescription,
  list: (title: string, lines: readonly string[]) => string,
): string {
  const weights = buffers.filter(({ kind }) => kind === "weights").sort((a, b) => b.bytes - a.bytes);
  return [
    list("plan for GPUs", [
      `shaders: ${modules.count} modules, ${formatBytes(modules.bytes)}; ${pipelines} pipelines`,
      ...bufferLines(buffers),
    ]),
    list(
      "buffers of weights, the largest first",
      weights.map(({ bytes, parts }) => `${formatBytes(bytes)} of ${parts} parts`),
    ),
    ...variants.map((variant) => list(`variant ${variant.name}`, variantLines(variant))),
  ].join("");
}

const variantLines = ({
  needs,
  arenaBytes,
  schedules,
  greedy,
  candidates,
}: VariantDescription): readonly string[] => [
  `needs ${needsText(needs)}`,
  `arena of ${formatBytes(arenaBytes)}`,
  ...schedules.map((schedule) => `schedule ${schedule.name}${whenText(schedule)}: ${stepsText(schedule)}`),
  ...(greedy ? [`greedy: ${stepsText(greedy)}`] : []),
  ...(candidates ? [`candidates: ${stepsText(candidates)}`] : []),
];

/** Of each kind the number and the sum. */
function bufferLines(buffers: readonly BufferDescription[]): readonly string[] {
  const sums = new Map<string, { count: number; bytes: number }>();
  for (const { kind, bytes } of buffers) {
    const { count, bytes: sum } = sums.get(kind) ?? { count: 0, bytes: 0 };
    sums.set(kind, { count: count + 1, bytes: sum + bytes });
  }
  return [...sums].map(([kind, { count, bytes }]) => `${kind} buffers: ${count}, ${formatBytes(bytes)}`);
}

const stepsText = ({ dispatches, classes, kernels }: StepCounts): string =>
  dispatches === 0
    ? "no dispatches"
    : `${dispatches} dispatches; ${formatCounts(classes)}; kernels: ${formatCounts(kernels)}`;

const whenText = ({ when }: Pick<PlanSchedule, "when">): string =>
  when.map(({ symbol, min, max }) => `, ${symbol} ${min === max ? min : `${min}..${max}`}`).join("");

function needsText({ features, languageFeatures, limits, minSubgroupSize, software }: DeviceNeeds): string {
  const needs = [
    ...features,
    ...languageFeatures,
    ...Object.entries(limits).map(([name, min]) => `${name} ${min}`),
    ...(minSubgroupSize > 0 ? [`subgroups of ${minSubgroupSize}`] : []),
    ...(software ? ["an adapter that is the CPU"] : []),
  ];
  return needs.length === 0 ? "nothing" : needs.join(", ");
}
