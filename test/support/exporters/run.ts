import { type Lowered, load, lower } from "../../../src/compiler/lower.ts";
import type { Graph } from "../../../src/ir/graph.ts";
import { printGraph } from "../../../src/ir/print.ts";
import { readWeight } from "../../../src/ir/weights.ts";
import type { OptionsInput } from "../../../src/options.ts";
import { toProgramGraph } from "../../../src/passes/to-program-graph.ts";
import { type CpuExecutor, createCpuExecutor } from "../../../src/runtime/cpu/executor.ts";
import type { DType } from "../../../src/tensor/dtype.ts";
import type { Source } from "../../../src/tensor/source.ts";
import { type Tensor, tensor } from "../../../src/tensor/tensor.ts";

/** A model as an exporter wrote it, and how its makers run it. */
export interface ExportedModel {
  readonly source: Source;
  /** What a call takes beside the caches. @param past tokens that came before */
  feed(ids: readonly number[], past: number): Readonly<Record<string, Tensor>>;
  /** Inputs that the next call takes from an output of this one. None: every call takes all tokens. */
  readonly caches: readonly { readonly past: string; readonly present: string; readonly empty: Tensor }[];
}

/** The tokens of consecutive calls: a prompt, single steps, and a second piece of text. */
export const calls: readonly (readonly number[])[] = [[3, 1, 4, 15, 9, 26], [5], [35], [8, 9, 7], [9]];

const executorOf = (graph: Graph): Promise<CpuExecutor> => {
  const { graph: program, weights } = toProgramGraph(graph);
  return createCpuExecutor(program, { loadConstant: (key) => readWeight(weights.get(key)!) });
};

/** Runs one call after another; each returns its logits. */
export type Run = (ids: readonly number[]) => Tensor;

/** The graph as it was imported, nothing recognised in it, with the caches handed from call to call. */
export async function runImported(model: ExportedModel, options: OptionsInput = {}): Promise<Run> {
  const { graph } = await load({ model: model.source }, options);
  const executor = await executorOf(graph);
  const caches = new Map(model.caches.map(({ past, empty }) => [past, empty]));
  const all: number[] = [];
  return (ids) => {
    const past = all.length;
    all.push(...ids);
    const given = model.caches.length > 0 ? model.feed(ids, past) : model.feed(all, 0);
    const outputs = executor.run({ ...given, ...Object.fromEntries(caches) });
    for (const { past: input, present } of model.caches) caches.set(input, outputs[present]!);
    return outputs.logits!;
  };
}

/** The compiled program, with its caches in place. */
export async function runCompiled(lowered: Lowered<"planned">): Promise<Run> {
  const executor = await executorOf(lowered.graph);
  const hasCache = lowered.graph.states.length > 0;
  const all: number[] = [];
  return (ids) => {
    const start = all.length;
    all.push(...ids);
    const given = hasCache ? ids : all;
    const { logits } = executor.run({
      tokens: tensor("i64", [1, given.length], [...given]),
      ...(hasCache && { start_pos: tensor("i64", [1], [start]) }),
    });
    return logits!;
  };
}

/** Positions that compiled models have room for; all models that are compared have the same. */
export const room = 32;

/** A model after the *stateful* phase: what was recognised in it. */
export interface Recognised {
  readonly ops: Readonly<Record<string, number>>;
  /** The graph as text, without the weights' names and values. */
  readonly structure: string;
  /** Goes on to the end; the program returns the logits of every position. */
  finish(): Promise<Lowered<"planned">>;
}

/** @throws BitnetcError when the model cannot be compiled */
export async function recognise(model: ExportedModel, options: OptionsInput = {}): Promise<Recognised> {
  const imported = await load({ model: model.source }, { maxSeqLen: room, logits: "all", ...options });
  const stateful = await lower(imported, "stateful");
  return {
    ops: stateful.report.ops,
    structure: printGraph(stateful.graph, { structure: true }),
    finish: () => lower(stateful, "planned"),
  };
}

/** How the logits of two models differ over a few calls. */
export interface Comparison {
  /** The largest difference of two logits; NaN where one is no number. */
  readonly difference: number;
  /** Whether the last token's best successor is the same in every call. */
  readonly isSameChoice: boolean;
}

/** Compares two runs; where one returns fewer rows of logits than the other, they are the last ones. */
export function compareRuns(a: Run, b: Run, script: readonly (readonly number[])[] = calls): Comparison {
  let difference = 0;
  let isSameChoice = true;
  for (const ids of script) {
    const [x, y] = [a(ids), b(ids)];
    const width = x.shape.at(-1)!;
    const length = Math.min(x.data.length, y.data.length);
    const [p, q] = [x, y].map(({ data }) => Array.from(data.subarray(data.length - length))) as [
      number[],
      number[],
    ];
    for (const [i, value] of p.entries()) {
      const distance = Math.abs(value - q[i]!);
      if (!(distance <= difference)) difference = distance;
    }
    isSameChoice &&= best(p.slice(-width)) === best(q.slice(-width));
  }
  return { difference, isSameChoice };
}

const best = (logits: readonly number[]): number => logits.indexOf(Math.max(...logits));

/** What a model computes after compilation against what it computed as it was imported. */
export async function compareWithImported(
  model: ExportedModel,
  packed: Lowered<"planned">,
  options: OptionsInput = {},
  script?: readonly (readonly number[])[],
): Promise<Comparison> {
  return compareRuns(await runImported(model, options), await runCompiled(packed), script);
}

const row = (dtype: DType, values: readonly number[]): Tensor =>
  tensor(dtype, [1, values.length], [...values]);

const count = (length: number, from = 0): number[] => Array.from({ length }, (_, i) => from + i);

/** The inputs that most exporters ask for, by name. */
const inputsByName: Readonly<Record<string, (dtype: DType, ids: readonly number[], past: number) => Tensor>> =
  {
    input_ids: row,
    attention_mask: (dtype, ids, past) => row(dtype, new Array<number>(past + ids.length).fill(1)),
    position_ids: (dtype, ids, past) => row(dtype, count(ids.length, past)),
    cache_position: (dtype, ids, past) => tensor(dtype, [ids.length], count(ids.length, past)),
    past_length: (dtype, _, past) => tensor(dtype, [], [past]),
    mask: (dtype, ids, past) => {
      const seen = ids.flatMap((_, query) => count(past + ids.length).map((key) => key <= past + query));
      const values = seen.map((isSeen) => (dtype === "bool" ? Number(isSeen) : isSeen ? 0 : -Infinity));
      return tensor(dtype, [1, 1, ids.length, past + ids.length], values);
    },
    write_indices: (dtype, _, past) => tensor(dtype, [1], [past]),
    lengths: (dtype, ids, past) => tensor(dtype, [1], [past + ids.length]),
  };

/** @param inputs the model's inputs with their types; all of them are among those that most exporters ask for */
export const feedByName =
  (inputs: Readonly<Record<string, DType>>): ExportedModel["feed"] =>
  (ids, past) =>
    Object.fromEntries(
      Object.entries(inputs).map(([name, dtype]) => [name, inputsByName[name]!(dtype, ids, past)]),
    );
