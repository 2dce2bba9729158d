import type { ProgramGraph } from "../runtime/graph.ts";
import type { Plan, PlanBuffer, PlanStep, PlanVariant } from "../runtime/webgpu/plan.ts";
import { type Dim, dimKey, maxOf, minOf, substituteDim, symbol, symbolBounds } from "../tensor/dim.ts";

/** Of a pipeline. */
const maxBindings = 16;
/** WebGPU's for where a binding begins. */
const alignment = 256;
/** Along each dimension, unless a variant needs more. */
const defaultWorkgroups = 65535;
const maxSymbols = 4;

/**
 * What keeps a plan from being run, whatever its shaders do: indices that lead nowhere, ranges that are outside of
 * their buffers, names that the graph has not.
 * @returns half a sentence, or undefined when all is well
 */
export function planFault(plan: Plan, graph: ProgramGraph): string | undefined {
  for (const fault of faultsOf(plan, graph)) return `in its plan, ${fault}`;
  return undefined;
}

type Faults = Generator<string, void, void>;
type Bounds = ReadonlyMap<string, { readonly min: number; readonly max: number }>;

const isSize = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

function* faultsOf(plan: Plan, graph: ProgramGraph): Faults {
  const known = symbolsOf(graph);
  // a word that stands for nothing in this graph is there for the order of the others, and 0
  const symbols = new Map(plan.symbols.map((name) => [name, known.get(name) ?? { min: 0, max: 0 }]));
  if (symbols.size > maxSymbols || symbols.size < plan.symbols.length)
    yield `the symbols are ${plan.symbols}`;
  for (const { label, module, bindings } of plan.pipelines) {
    if (plan.modules[module] === undefined || bindings.length > maxBindings)
      yield `pipeline ${label} has module ${module} and ${bindings.length} bindings`;
  }
  yield* bufferFaults(plan, graph);
  for (const variant of plan.variants) {
    const { needs, arenaSize, schedules, greedy = [], candidates = [] } = variant;
    if (![arenaSize, needs.minSubgroupSize, ...Object.values(needs.limits)].every(isSize))
      yield `variant ${variant.name} needs what is no size`;
    yield* stepFaults(plan, variant, [...greedy, ...candidates], symbols);
    for (const { name, when, steps } of schedules) {
      const bounds = new Map(symbols);
      for (const { symbol, min, max } of when) {
        if (!bounds.has(symbol) || !isSize(min) || !isSize(max) || min > max)
          yield `schedule ${name} is for ${symbol} from ${min} to ${max}`;
        bounds.set(symbol, { min, max });
      }
      yield* stepFaults(plan, variant, steps, bounds);
    }
  }
}

function symbolsOf({ values, inputs }: ProgramGraph): Bounds {
  const bounds = new Map<string, { min: number; max: number }>();
  const sizes: readonly (readonly Dim[])[] = [
    ...values.map(({ shape }) => shape),
    ...inputs.map(({ contents = [] }) => contents),
  ];
  for (const size of sizes.flat()) symbolBounds(size, bounds);
  return bounds;
}

function* bufferFaults({ buffers }: Plan, graph: ProgramGraph): Faults {
  const constants = new Set(graph.constants.map(({ value }) => value));
  const named = { input: graph.inputs, output: graph.outputs, state: graph.states };
  const names = new Set<string>();
  for (const [i, buffer] of buffers.entries()) {
    const bytes = bytesOf(buffer);
    if (!isSize(bytes) || bytes % 4 !== 0) yield `buffer ${i} has ${bytes} bytes`;
    if (buffer.kind === "weights") {
      for (const { value, from, size, offset } of buffer.parts) {
        const isWithin = [from, size, offset].every(isSize) && offset + size <= bytes;
        if (!isWithin || offset % 4 !== 0 || !constants.has(value))
          yield `${size} bytes of value ${value} are at ${offset} of buffer ${i}, which has ${bytes}`;
      }
    } else if ("name" in buffer) {
      const { kind, name } = buffer;
      const text = `${kind} ${name}`;
      if (names.has(text) || !named[kind].some((binding) => binding.name === name))
        yield `buffer ${i} is for the ${text}`;
      names.add(text);
    }
  }
  const missing = graph.outputs.find(({ name }) => !names.has(`output ${name}`));
  if (missing !== undefined) yield `no buffer is for the output ${missing.name}`;
}

/** Of the symbols there are at most four words; of candidates, an id and a logit each. */
const bytesOf = (buffer: PlanBuffer): number =>
  "size" in buffer ? buffer.size : buffer.kind === "candidates" ? 8 * buffer.count : 4 * maxSymbols;

function* stepFaults(plan: Plan, variant: PlanVariant, steps: readonly PlanStep[], bounds: Bounds): Faults {
  const { maxComputeWorkgroupsPerDimension: mostWorkgroups = defaultWorkgroups } = variant.needs.limits;
  const sizes = new Map([...bounds].map(([name, { min, max }]) => [name, symbol(name, max, min)]));
  for (const { kernel, source, pipeline, bindings, workgroups } of steps) {
    const place = `${kernel} for ${source} has`;
    const accesses = plan.pipelines[pipeline]?.bindings.filter((access) => access !== "symbols");
    if (accesses?.length !== bindings.length)
      yield `${place} ${bindings.length} bindings for pipeline ${pipeline}`;
    for (const [i, { buffer: at, offset, size }] of bindings.entries()) {
      const buffer = plan.buffers[at];
      const isScratch = buffer?.kind === "scratch";
      const start = isScratch ? buffer.offset : 0;
      const isWithin =
        buffer !== undefined &&
        [start, offset, size - 1].every(isSize) &&
        offset + size <= bytesOf(buffer) &&
        !(isScratch && start + buffer.size > variant.arenaSize);
      if (!isWithin || size % 4 !== 0 || (start + offset) % alignment !== 0)
        yield `${place} ${size} bytes at ${start} + ${offset} of buffer ${at}, of ${buffer && bytesOf(buffer)}, in an arena of ${variant.arenaSize}`;
      if (accesses?.[i] === "value" && buffer?.kind === "weights") yield `${place} weights to write to`;
    }
    for (const count of workgroups) {
      const within = substituteDim(count, sizes);
      const isKnown = [...symbolBounds(within).keys()].every((name) => bounds.has(name));
      if (!isKnown || !isSize(minOf(within)) || maxOf(within) > mostWorkgroups)
        yield `${place} ${dimKey(count)} workgroups, ${minOf(within)} to ${maxOf(within)}`;
    }
  }
}
