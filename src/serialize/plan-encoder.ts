import type { Builder, Offset } from "flatbuffers";
import type {
  Plan,
  PlanBuffer,
  PlanPipeline,
  PlanSchedule,
  PlanStep,
  PlanVariant,
} from "../runtime/webgpu/plan.ts";
import type { Dim } from "../tensor/dim.ts";
import * as fb from "./generated/write/bitnetc.ts";

/** What the plan shares with the rest of the delegate. */
export interface PlanContext {
  readonly b: Builder;
  string(text: string): Offset;
  /** The index of a size in the delegate's list. */
  size(size: Dim): number;
}

export const encodePlan = (plan: Plan, context: PlanContext): Offset =>
  new PlanEncoder(plan, context).encode();

/** Writes what steps share once: ranges, lists of ranges, and steps that several schedules have. */
class PlanEncoder {
  readonly #plan: Plan;
  readonly #context: PlanContext;
  readonly #b: Builder;
  readonly #bindings: number[] = [];
  readonly #ranges = new Distinct();
  readonly #lists = new Distinct();
  readonly #steps = new Distinct();

  constructor(plan: Plan, context: PlanContext) {
    this.#plan = plan;
    this.#context = context;
    this.#b = context.b;
  }

  encode(): Offset {
    const b = this.#b;
    const { symbols, modules, pipelines, buffers, variants } = this.#plan;
    const { Plan } = fb;
    const symbolVector = this.#strings(symbols);
    const moduleVector = this.#strings(modules);
    const pipelineOffsets = pipelines.map((pipeline) => this.#pipeline(pipeline));
    const pipelineVector = Plan.createPipelinesVector(b, pipelineOffsets);
    const bufferOffsets = buffers.map((buffer) => this.#buffer(buffer));
    const bufferVector = Plan.createBuffersVector(b, bufferOffsets);
    const variantOffsets = variants.map((variant) => this.#variant(variant));
    const variantVector = Plan.createVariantsVector(b, variantOffsets);
    const rangeVector = Plan.createRangesVector(b, this.#ranges.offsets);
    const stepVector = Plan.createStepsVector(b, this.#steps.offsets);
    const bindingVector = Plan.createBindingsVector(b, this.#bindings);
    return Plan.createPlan(
      b,
      symbolVector,
      moduleVector,
      pipelineVector,
      bufferVector,
      rangeVector,
      bindingVector,
      stepVector,
      variantVector,
    );
  }

  #strings(texts: readonly string[]): Offset {
    const offsets = texts.map((text) => this.#context.string(text));
    return fb.Plan.createSymbolsVector(this.#b, offsets);
  }

  #pipeline({ label, module, bindings }: PlanPipeline): Offset {
    const accesses = fb.Pipeline.createBindingsVector(
      this.#b,
      bindings.map((access) => fb.BindingAccess[access]),
    );
    return fb.Pipeline.createPipeline(this.#b, this.#context.string(label), module, accesses);
  }

  #buffer(buffer: PlanBuffer): Offset {
    const b = this.#b;
    const name = "name" in buffer ? this.#context.string(buffer.name) : 0;
    const parts =
      buffer.kind === "weights"
        ? buffer.parts.map(({ value, layout, from, size, offset }) =>
            fb.WeightPart.createWeightPart(
              b,
              value,
              fb.WeightLayout[layout === "ternary-codes" ? "ternary_codes" : layout],
              BigInt(from),
              BigInt(size),
              BigInt(offset),
            ),
          )
        : [];
    const size = "size" in buffer ? buffer.size : "count" in buffer ? buffer.count : 0;
    const partVector = parts.length > 0 ? fb.PlanBuffer.createPartsVector(b, parts) : 0;
    return fb.PlanBuffer.createPlanBuffer(
      b,
      fb.BufferKind[buffer.kind],
      name,
      BigInt("offset" in buffer ? buffer.offset : 0),
      BigInt(size),
      partVector,
    );
  }

  #variant({ name, needs, arenaSize, schedules, greedy, candidates }: PlanVariant): Offset {
    const b = this.#b;
    const { Variant } = fb;
    const nameOffset = this.#context.string(name);
    const features = this.#strings(needs.features);
    const languageFeatures = this.#strings(needs.languageFeatures);
    const limitOffsets = Object.entries(needs.limits).map(([limit, min]) =>
      fb.Limit.createLimit(b, this.#context.string(limit), BigInt(min)),
    );
    const limits = Variant.createLimitsVector(b, limitOffsets);
    const scheduleOffsets = schedules.map((schedule) => this.#schedule(schedule));
    const scheduleVector = Variant.createSchedulesVector(b, scheduleOffsets);
    const steps = (list: readonly PlanStep[] | undefined): Offset =>
      list === undefined ? 0 : Variant.createGreedyVector(b, this.#stepIndices(list));
    const greedyVector = steps(greedy);
    const candidateVector = steps(candidates);
    return Variant.createVariant(
      b,
      nameOffset,
      features,
      languageFeatures,
      limits,
      needs.minSubgroupSize,
      needs.software,
      BigInt(arenaSize),
      scheduleVector,
      greedyVector,
      candidateVector,
    );
  }

  #schedule({ name, when, steps }: PlanSchedule): Offset {
    const b = this.#b;
    const nameOffset = this.#context.string(name);
    const bounds = when.map(({ symbol, min, max }) =>
      fb.SymbolBounds.createSymbolBounds(b, this.#context.string(symbol), BigInt(min), BigInt(max)),
    );
    const whenVector = fb.Schedule.createWhenVector(b, bounds);
    const stepVector = fb.Schedule.createStepsVector(b, this.#stepIndices(steps));
    return fb.Schedule.createSchedule(b, nameOffset, whenVector, stepVector);
  }

  #stepIndices(steps: readonly PlanStep[]): number[] {
    return steps.map((step) => {
      const { kernel, class: stepClass, source, pipeline } = step;
      const bindings = this.#bindingList(step);
      const [x, y, z] = step.workgroups.map((count) => this.#context.size(count)) as [number, number, number];
      const numbers = [fb.StepClass[stepClass], pipeline, bindings, x, y, z] as const;
      return this.#steps.index([kernel, source, ...numbers], () =>
        fb.Step.createStep(
          this.#b,
          this.#context.string(kernel),
          numbers[0],
          this.#context.string(source),
          ...([pipeline, bindings, x, y, z] as const),
        ),
      );
    });
  }

  /** Where among all bindings a step's are. */
  #bindingList({ bindings }: PlanStep): number {
    const list = bindings.map(({ buffer, offset, size }) =>
      this.#ranges.index([buffer, offset, size], () =>
        fb.BufferRange.createBufferRange(this.#b, buffer, BigInt(offset), BigInt(size)),
      ),
    );
    const index = this.#lists.index(list, () => this.#bindings.push(...list) - list.length);
    return this.#lists.offsets[index]!;
  }
}

/** Numbers what is made from equal keys once. */
class Distinct {
  readonly offsets: Offset[] = [];
  readonly #indices = new Map<string, number>();

  index(key: readonly unknown[], make: () => Offset): number {
    const text = JSON.stringify(key);
    let index = this.#indices.get(text);
    if (index === undefined) {
      index = this.offsets.push(make()) - 1;
      this.#indices.set(text, index);
    }
    return index;
  }
}
