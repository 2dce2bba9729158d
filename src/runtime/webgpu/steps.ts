import { type Dim, dimKey, evaluateDim } from "../../tensor/dim.ts";
import type { Sizes } from "../sizes.ts";
import { type PlanBuffers, stepsOf } from "./buffers.ts";
import type { BindingAccess, Plan, PlanSchedule, PlanStep, PlanVariant } from "./plan.ts";

/** Dispatches in order, with all that does not change from call to call made ready. */
export interface PreparedSteps {
  /** The schedule's name, or what comes after a call. */
  readonly name: string;
  readonly steps: readonly PlanStep[];
  /** The calls that it is for, where they are not all. */
  readonly when: PlanSchedule["when"];
  readonly pipelines: readonly GPUComputePipeline[];
  readonly groups: readonly GPUBindGroup[];
  /** Workgroups along x, y and z of each step; `setCounts` sets those that depend on symbols. */
  readonly counts: Uint32Array;
  /** Sizes that depend on symbols, with the places in `counts` that they have. */
  readonly symbolic: readonly { readonly size: Dim; readonly places: readonly number[] }[];
}

export interface PreparedVariant {
  readonly schedules: readonly PreparedSteps[];
  readonly greedy: PreparedSteps | undefined;
  readonly candidates: PreparedSteps | undefined;
}

const compute = 4;
const bindingTypes = { constant: "read-only-storage", value: "storage", symbols: "uniform" } as const;

/** Compiles the pipelines that a variant uses, all at once, and makes its bind groups. */
export async function prepareVariant(
  device: GPUDevice,
  plan: Plan,
  variant: PlanVariant,
  buffers: PlanBuffers,
): Promise<PreparedVariant> {
  const layouts = new Map<string, readonly [GPUBindGroupLayout, GPUPipelineLayout]>();
  const layoutOf = (bindings: readonly BindingAccess[]) => {
    const key = bindings.join();
    let layout = layouts.get(key);
    if (layout === undefined) {
      const group = device.createBindGroupLayout({
        entries: bindings.map((access, binding) => ({
          binding,
          visibility: compute,
          buffer: { type: bindingTypes[access] },
        })),
      });
      layout = [group, device.createPipelineLayout({ bindGroupLayouts: [group] })];
      layouts.set(key, layout);
    }
    return layout;
  };

  const modules = new Map<number, GPUShaderModule>();
  const compiling = new Map<number, Promise<GPUComputePipeline>>();
  for (const { pipeline: i } of stepsOf(variant)) {
    if (compiling.has(i)) continue;
    const { label, module: m, bindings } = plan.pipelines[i]!;
    const module = modules.get(m) ?? device.createShaderModule({ label, code: plan.modules[m]! });
    modules.set(m, module);
    const descriptor = { label, layout: layoutOf(bindings)[1], compute: { module, entryPoint: "main" } };
    compiling.set(i, device.createComputePipelineAsync(descriptor));
  }

  const groupOf = ({ pipeline, bindings }: PlanStep): GPUBindGroup => {
    const { bindings: accesses } = plan.pipelines[pipeline]!;
    let next = 0;
    return device.createBindGroup({
      layout: layoutOf(accesses)[0],
      entries: accesses.map((access, binding) => ({
        binding,
        resource: access === "symbols" ? { buffer: buffers.symbols } : buffers.binding(bindings[next++]!),
      })),
    });
  };
  const prepare = (name: string, steps: readonly PlanStep[], when: PlanSchedule["when"] = []) => {
    const sizes = steps.flatMap(({ workgroups }) => workgroups);
    const symbolic = new Map<string, { size: Dim; places: number[] }>();
    sizes.forEach((size, place) => {
      if (typeof size === "number") return;
      const known = symbolic.get(dimKey(size));
      if (known === undefined) symbolic.set(dimKey(size), { size, places: [place] });
      else known.places.push(place);
    });
    return {
      name,
      steps,
      when,
      pipelines: [] as GPUComputePipeline[],
      groups: steps.map(groupOf),
      counts: Uint32Array.from(sizes, (size) => (typeof size === "number" ? size : 0)),
      symbolic: [...symbolic.values()],
    };
  };
  const schedules = variant.schedules.map(({ name, steps, when }) => prepare(name, steps, when));
  const greedy = variant.greedy && prepare("greedy", variant.greedy);
  const candidates = variant.candidates && prepare("candidates", variant.candidates);

  await Promise.all(compiling.values());
  for (const prepared of [...schedules, greedy, candidates])
    for (const { pipeline } of prepared?.steps ?? [])
      prepared!.pipelines.push(await compiling.get(pipeline)!);
  return { schedules, greedy, candidates };
}

/** Sets the workgroup counts that depend on symbols. */
export function setCounts({ counts, symbolic }: PreparedSteps, symbols: Sizes): void {
  for (const { size, places } of symbolic) {
    const count = evaluateDim(size, symbols);
    for (const place of places) counts[place] = count;
  }
}

/** Where steps are recorded, to be submitted. */
export interface Recording {
  add(steps: PreparedSteps, symbols: Sizes): void;
  end(): void;
  /** To be called after the submission, where it is there; waits for what was measured. */
  submitted?(): Promise<void>;
}

/** Records steps as one compute pass. */
export function recordPass(encoder: GPUCommandEncoder): Recording {
  const pass = encoder.beginComputePass();
  let current: GPUComputePipeline | undefined;
  return {
    add(prepared, symbols) {
      setCounts(prepared, symbols);
      const { pipelines, groups, counts } = prepared;
      for (let i = 0, at = 0; i < pipelines.length; i++, at += 3) {
        const pipeline = pipelines[i]!;
        if (pipeline !== current) pass.setPipeline(pipeline);
        current = pipeline;
        pass.setBindGroup(0, groups[i]!);
        pass.dispatchWorkgroups(counts[at]!, counts[at + 1], counts[at + 2]);
      }
    },
    end: () => pass.end(),
  };
}
