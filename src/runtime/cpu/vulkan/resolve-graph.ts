import type { VulkanGraph } from "../../../serialize/vulkan-graph.ts";
import { byteLength, elementCount } from "../../../tensor/tensor.ts";
import { lifetimeFaults } from "./check-lifetimes.ts";
import { dtypeOf, GraphTensor } from "./graph-tensor.ts";
import { type Content, type Memory, ValueItems } from "./kinds.ts";
import type { Operator } from "./operator.ts";
import { operators } from "./operators/index.ts";

/** A call that a runtime of ExecuTorch takes. */
export interface GraphCall {
  readonly name: string;
  readonly operator: Operator;
  /** Places in memory. */
  readonly args: readonly number[];
  /** Where it is in the program. */
  readonly source: string;
}

/** A graph whose calls are all as their ops have them. */
export interface ResolvedGraph {
  readonly graph: VulkanGraph;
  /** Those that run once, when the graph is loaded. */
  readonly preparations: readonly GraphCall[];
  readonly calls: readonly GraphCall[];
  /** What caches of calls' own begin with, by value; in memory they follow the values. */
  readonly ownCaches: readonly number[];
  /** Places in memory of tensors that keep their elements from run to run. */
  readonly states: readonly number[];
  /** Values that are constants and in use. */
  readonly constants: readonly number[];
}

/** What is wrong with a graph. */
export interface GraphFaults {
  /** Ops that there is no code for, and where the first call of each is. */
  readonly missing: ReadonlyMap<string, string>;
  /** Half sentences. */
  readonly malformed: readonly string[];
}

/** Memory for the values of a graph, with nothing in its tensors. */
export function layMemory(graph: VulkanGraph, ownCaches: readonly number[] = []): Memory {
  const own = ownCaches.map((at) => {
    const { constant: _, ...tensor } = graph.values[at] as VulkanGraph["values"][number] & {
      type: "VkTensor";
    };
    return new GraphTensor(tensor);
  });
  return [...graph.values.map(contentOf), ...own];
}

/** The tensors that a graph keeps, before there is anything in them. */
export function statesOf({ graph, ownCaches, states }: ResolvedGraph): readonly GraphTensor[] {
  const memory = layMemory(graph, ownCaches);
  return states.map((place) => memory[place] as GraphTensor);
}

function contentOf(value: VulkanGraph["values"][number]): Content {
  switch (value.type) {
    case "Null":
      return null;
    case "Int":
      return Number(value.value);
    case "SymInt":
      return Number.NaN;
    case "VkTensor":
      return new GraphTensor(value);
    case "IntList":
      return value.items.map(Number);
    case "ValueList":
      return new ValueItems(value.items);
    case "DoubleList":
    case "BoolList":
      return value.items;
    default:
      return value.value;
  }
}

/** @param name what errors call it */
export function resolveGraph(
  graph: VulkanGraph,
  name: string,
): { readonly resolved: ResolvedGraph; readonly faults: GraphFaults } {
  const missing = new Map<string, string>();
  const malformed = valueFaults(graph).map((fault) => `${name} ${fault}`);
  const memory = layMemory(graph);
  const [preparations, calls]: [GraphCall[], GraphCall[]] = [[], []];
  const [ownCaches, constants, states]: [number[], Set<number>, Set<number>] = [[], new Set(), new Set()];
  graph.calls.forEach(({ op, args }, i) => {
    const source = `call ${i} of ${name}`;
    const operator = operators.get(op);
    if (operator === undefined) {
      if (!missing.has(op)) missing.set(op, source);
      return;
    }
    const faults = callFaults(operator, args, graph, memory);
    malformed.push(...faults.map((fault) => `${source} is of ${op} with ${fault}`));
    if (faults.length > 0) return;
    const places = args.map((arg, j) => {
      const { access } = operator.params[j]!;
      for (const at of itemsAt(graph, arg)) if (isConstant(graph, at)) constants.add(at);
      if (access === "change") states.add(arg);
      if (access !== "keep") return arg;
      const place = graph.values.length + ownCaches.push(arg) - 1;
      states.add(place);
      return place;
    });
    (operator.isOnce ? preparations : calls).push({ name: op, operator, args: places, source });
  });
  const resolved: ResolvedGraph = {
    graph,
    preparations,
    calls,
    ownCaches,
    states: [...states],
    constants: [...constants],
  };
  if (missing.size === 0 && malformed.length === 0)
    malformed.push(...lifetimeFaults(resolved).map((fault) => `${name} ${fault}`));
  return { resolved, faults: { missing, malformed } };
}

/** The values that a value consists of: a list's items. */
export function itemsAt({ values }: VulkanGraph, at: number): readonly number[] {
  const value = values[at];
  return value?.type === "ValueList" ? value.items : [at];
}

function isConstant({ values }: VulkanGraph, at: number): boolean {
  const value = values[at]!;
  return value.type === "VkTensor" && value.constant !== undefined;
}

const mostAxes = 4;

function valueFaults({ values, constants, inputs, outputs }: VulkanGraph): readonly string[] {
  const ofValues = values.flatMap((value, i) => {
    if (value.type !== "VkTensor") return [];
    const { dataType, stagingDataType, dims, constant } = value;
    const dtype = dtypeOf(dataType);
    if (dtype === undefined || (stagingDataType !== "UNSET" && dtypeOf(stagingDataType) === undefined))
      return [`has a tensor ${i} of ${dtype === undefined ? dataType : stagingDataType}`];
    if (dims.length > mostAxes) return [`has a tensor ${i} of ${dims.length} axes`];
    if (constant === undefined) return [];
    const need = byteLength(dtype, elementCount(dims));
    const have = constants[constant]!.length;
    return have < need ? [`has a constant of ${have} bytes for tensor ${i}, which takes ${need}`] : [];
  });
  const isVariable = (at: number) => values[at]!.type === "VkTensor" && values[at]!.constant === undefined;
  return [
    ...ofValues,
    ...inputs
      .filter((at) => !isVariable(at) && values[at]!.type !== "SymInt")
      .map((at) => `has value ${at} as an input, which is ${values[at]!.type}`),
    ...outputs
      .filter((at) => !isVariable(at))
      .map((at) => `has value ${at} as an output, which is ${values[at]!.type}`),
  ];
}

function callFaults(
  operator: Operator,
  args: readonly number[],
  graph: VulkanGraph,
  memory: Memory,
): readonly string[] {
  const { params } = operator;
  if (args.length !== params.length) return [`${args.length} arguments in place of ${params.length}`];
  const unfit = params.flatMap(({ accepts, name }, i) => {
    const at = args[i]!;
    if (accepts(graph, at)) return [];
    return [`${describe(graph, at)} as argument ${i}, where ${name} is expected`];
  });
  if (unfit.length > 0) return unfit;
  return [...new Set(operator.check(memory, args).filter((fault) => typeof fault === "string"))];
}

const describe = (graph: VulkanGraph, at: number): string =>
  isConstant(graph, at) ? `the constant ${at}` : `the value ${at}, ${graph.values[at]!.type},`;
