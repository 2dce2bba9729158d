import type { Graph, Value } from "../../../ir/graph.ts";
import type { Plan, PlanSchedule, PlanVariant } from "../../../runtime/webgpu/plan.ts";
import { ConstantPool } from "../lowering/buffers.ts";
import { Emitter, type Step } from "../lowering/emitter.ts";
import type { Group } from "../lowering/group.ts";
import { sharedMemory } from "../lowering/memory.ts";
import { emitSampling } from "../lowering/sampling.ts";
import { callSizeOf, type Schedule, schedulesOf } from "../lowering/schedule.ts";
import { defaultLimits, type Target } from "../target.ts";
import { type Arena, planArena } from "./arena.ts";
import { needsOf } from "./needs.ts";
import { PlanTables } from "./tables.ts";
import { targetsFor } from "./variants.ts";
import { arenaFault } from "./verify.ts";

/** A graph's plan, and what it came to. */
export interface PlannedGraph {
  readonly plan: Plan;
  readonly summary: PlanSummary;
}

/** What planning came to for the best of GPUs, for reports. */
export interface PlanSummary {
  /** Dispatches of a call, by schedule. */
  readonly dispatches: Readonly<Record<string, number>>;
  /** Bytes of scratch memory, and what it would be if nothing shared any. */
  readonly arena: number;
  readonly arenaWithoutSharing: number;
}

/** Steps that run one after the other, with the memory that they share. */
interface Placed {
  readonly steps: readonly Step[];
  readonly arena: Arena;
}

interface PlacedVariant {
  readonly target: Target;
  readonly schedules: readonly { readonly schedule: Schedule; readonly placed: Placed }[];
  readonly greedy: Placed | undefined;
  readonly candidates: Placed | undefined;
}

/**
 * Plans a graph for every target: each group of nodes writes its steps for every schedule, and scratch memory gets its
 * place. The same graph always gives the same plan.
 *
 * @param groups all of the graph's nodes, in execution order
 * @param numbers of the graph's values in the program
 */
export function buildPlan(
  graph: Graph,
  groups: readonly Group[],
  numbers: ReadonlyMap<Value, number>,
): PlannedGraph {
  const constants = new ConstantPool(numbers);
  const memory = sharedMemory(graph, constants, callSizeOf(graph, defaultLimits.maxStorageBufferBindingSize));
  const schedules = schedulesOf(graph, memory.callSize);
  const variants = targetsFor(graph).map((target): PlacedVariant => {
    const emit = (schedule: Schedule): Placed => {
      const emitter = new Emitter(schedule, target, memory);
      for (const group of groups) group.emit(emitter);
      return place(emitter.steps);
    };
    const sampling = emitSampling(graph, schedules.at(-1)!, target, memory);
    return {
      target,
      schedules: schedules.map((schedule) => ({ schedule, placed: emit(schedule) })),
      greedy: sampling && place(sampling.greedy),
      candidates: sampling && place(sampling.candidates),
    };
  });
  const tables = new PlanTables();
  const plan = tables.finish(variants.map((variant) => finishVariant(variant, tables)));
  return { plan, summary: summaryOf(variants.find(isForGpus) ?? variants[0]!) };
}

const isForGpus = ({ target }: PlacedVariant): boolean => target.reduction !== "serial";

function place(steps: readonly Step[]): Placed {
  const arena = planArena(steps);
  const fault = arenaFault(steps, arena);
  if (fault !== undefined) throw new Error(`the memory plan is wrong: ${fault}`);
  return { steps, arena };
}

function finishVariant(
  { target, schedules, greedy, candidates }: PlacedVariant,
  tables: PlanTables,
): PlanVariant {
  const finish = ({ steps, arena }: Placed) => steps.map((step) => tables.step(step, arena));
  const all = [...schedules.map(({ placed }) => placed), ...[greedy ?? [], candidates ?? []].flat()];
  return {
    name: target.name,
    needs: needsOf(
      target,
      all.flatMap(({ steps }) => steps),
    ),
    arenaSize: Math.max(0, ...all.map(({ arena }) => arena.size)),
    schedules: schedules.map(
      ({ schedule: { name, when }, placed }): PlanSchedule => ({ name, when, steps: finish(placed) }),
    ),
    greedy: greedy && finish(greedy),
    candidates: candidates && finish(candidates),
  };
}

function summaryOf({ schedules }: PlacedVariant): PlanSummary {
  const largest = schedules.reduce((a, b) => (b.placed.arena.size > a.placed.arena.size ? b : a)).placed
    .arena;
  return {
    dispatches: Object.fromEntries(
      schedules.map(({ schedule, placed }) => [schedule.name, placed.steps.length]),
    ),
    arena: largest.size,
    arenaWithoutSharing: largest.sizeWithoutSharing,
  };
}
