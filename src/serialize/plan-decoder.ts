import type { ProgramGraph } from "../runtime/graph.ts";
import {
  type BindingAccess,
  type Plan,
  type PlanBuffer,
  type PlanStep,
  stepClasses,
  weightLayouts,
} from "../runtime/webgpu/plan.ts";
import type { Dim } from "../tensor/dim.ts";
import { element, index, required } from "./checked-buffer.ts";
import type * as fb from "./generated/read/bitnetc.ts";
import { sizeOf } from "./header.ts";

const accesses: readonly BindingAccess[] = ["constant", "value", "symbols"];
const kinds = ["weights", "state", "input", "output", "scratch", "symbols", "sampled", "candidates"] as const;

/**
 * Checks what a runtime would stumble over. That ranges are within their buffers, and the like, WebGPU checks;
 * `planFault` does ahead of time.
 * @param sizes the delegate's
 * @throws RangeError with half a sentence for what does not fit the schema or the graph
 */
export function decodePlan(plan: fb.Plan, sizes: readonly Dim[], graph: ProgramGraph): Plan {
  const { symbols, modules } = plan;
  const pipelines = plan.pipelines.map(({ label, module, bindings }) => ({
    label: text(label),
    module: index(module, modules.length, "module"),
    bindings: Array.from(bindings ?? [], (access) => element(accesses, access, "kind of binding")),
  }));
  const constants = new Set(graph.constants.map(({ value }) => value));
  const buffers = plan.buffers.map((buffer) => decodeBuffer(buffer, constants));
  for (const { name } of graph.outputs)
    if (!buffers.some((buffer) => buffer.kind === "output" && buffer.name === name))
      throw new RangeError(`no buffer of its plan is for the output ${name}`);
  const ranges = plan.ranges.map(({ buffer, offset, size }) => ({
    buffer: index(buffer, buffers.length, "buffer"),
    offset: sizeOf(offset),
    size: sizeOf(size),
  }));
  const bindings = (plan.bindings ?? []).map((at) => element(ranges, at, "range"));
  const steps = plan.steps.map(({ kernel, class_, source, pipeline, bindings: from, x, y, z }): PlanStep => {
    const shown = element(pipelines, pipeline, "pipeline").bindings;
    const to = from + shown.filter((access) => access !== "symbols").length;
    if (to > bindings.length) throw new RangeError(`it refers to binding ${to} of ${bindings.length}`);
    return {
      kernel: text(kernel),
      class: element(stepClasses, class_, "kind of step"),
      source: text(source),
      pipeline,
      bindings: bindings.slice(from, to),
      workgroups: [element(sizes, x, "size"), element(sizes, y, "size"), element(sizes, z, "size")],
    };
  });
  const stepsAt = (indices: readonly number[]) => indices.map((at) => element(steps, at, "step"));
  return {
    symbols,
    modules,
    pipelines,
    buffers,
    variants: plan.variants.map((variant) => ({
      name: text(variant.name),
      needs: {
        features: variant.features,
        languageFeatures: variant.languageFeatures,
        limits: Object.fromEntries(variant.limits.map(({ name, min }) => [text(name), sizeOf(min)])),
        minSubgroupSize: variant.minSubgroupSize,
        software: variant.software,
      },
      arenaSize: sizeOf(variant.arenaSize),
      schedules: variant.schedules.map(({ name, when, steps }) => ({
        name: text(name),
        when: when.map(({ symbol, min, max }) => ({
          symbol: text(symbol),
          min: Number(min),
          max: Number(max),
        })),
        steps: stepsAt(steps ?? []),
      })),
      greedy: variant.greedy ? stepsAt(variant.greedy) : undefined,
      candidates: variant.candidates ? stepsAt(variant.candidates) : undefined,
    })),
  };
}

const text = (field: string | null): string => required(field, "a name in its plan");

function decodeBuffer(buffer: fb.PlanBuffer, constants: ReadonlySet<number>): PlanBuffer {
  const kind = element(kinds, buffer.kind, "kind of buffer");
  const size = sizeOf(buffer.size);
  if (kind === "symbols") return { kind };
  if (kind === "candidates") return { kind, count: size };
  if (size % 4 !== 0) throw new RangeError(`a buffer of its plan has ${size} bytes`);
  if (kind === "scratch") return { kind, offset: sizeOf(buffer.offset), size };
  if (kind === "sampled") return { kind, size };
  if (kind !== "weights") return { kind, name: text(buffer.name), size };
  const parts = buffer.parts.map(({ value, layout, from, size, offset }) => {
    if (!constants.has(value)) throw new RangeError(`its plan has value ${value} for a constant`);
    return {
      value,
      layout: element(weightLayouts, layout, "layout"),
      from: sizeOf(from),
      size: sizeOf(size),
      offset: sizeOf(offset),
    };
  });
  return { kind, size, parts };
}
