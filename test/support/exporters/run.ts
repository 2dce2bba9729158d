import { type Lowered, load, lower } from "../../../src/compiler/lower.ts";
import type { Graph } from "../../../src/ir/graph.ts";
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

/** Tokens of the calls: a prompt, single steps, and a second piece of text. */
export const calls: readonly (readonly number[])[] = [[3, 1, 4, 15, 9, 26], [5], [35], [8, 9, 7], [9]];

const executorOf = (graph: Graph): Promise<CpuExecutor> => {
  const { graph: program, weights } = toProgramGraph(graph);
  return createCpuExecutor(program, { loadConstant: (key) => readWeight(weights.get(key)!) });
};

/** Runs calls one after another; each returns its logits. */
type Run = (ids: readonly number[]) => Tensor;

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

/** The compiled program. */
export async function runCompiled(lowered: Lowered<"packed">): Promise<Run> {
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

/** Compiles a model so that it returns the logits of every position. */
export async function compileModel(
  model: ExportedModel,
  options: OptionsInput = {},
): Promise<{ stateful: Lowered<"stateful">; packed: () => Promise<Lowered<"packed">> }> {
  const imported = await load({ model: model.source }, { maxSeqLen: 32, logits: "all", ...options });
  const stateful = await lower(imported, "stateful");
  return { stateful, packed: () => lower(stateful, "packed") };
}

/** The largest difference of the logits of the last position, over all calls, and whether the best tokens agree. */
export interface Agreement {
  readonly difference: number;
  readonly isSameChoice: boolean;
}

export async function compareWithImported(
  model: ExportedModel,
  packed: Lowered<"packed">,
  options: OptionsInput = {},
): Promise<Agreement> {
  const [imported, compiled] = [await runImported(model, options), await runCompiled(packed)];
  let difference = 0;
  let isSameChoice = true;
  for (const ids of calls) {
    const [expected, actual] = [imported(ids), compiled(ids)];
    const width = expected.shape.at(-1)!;
    // Some exporters return the last row only.
    const rows = Math.min(expected.data.length, actual.data.length) / width;
    const [a, b] = [expected, actual].map(({ data }) => data.subarray(data.length - rows * width));
    for (let i = 0; i < a!.length; i++) difference = Math.max(difference, Math.abs(a![i]! - b![i]!));
    if (a!.some(Number.isNaN) || b!.some(Number.isNaN)) difference = Number.NaN;
    const best = (values: ArrayLike<number>) => {
      const last = Array.from(values).slice(-width);
      return last.indexOf(Math.max(...last));
    };
    isSameChoice &&= best(a!) === best(b!);
  }
  return { difference, isSameChoice };
}

/** i64 [1, n] */
const row = (dtype: DType, values: readonly number[]): Tensor =>
  tensor(dtype, [1, values.length], [...values]);

/** The inputs that most exporters ask for, those of the given names. */
export function feedByName(
  inputs: Readonly<Record<string, DType>>,
): (ids: readonly number[], past: number) => Readonly<Record<string, Tensor>> {
  return (ids, past) => {
    const count = (length: number, from = 0) => Array.from({ length }, (_, i) => from + i);
    const values: Record<string, (dtype: DType) => Tensor> = {
      input_ids: (dtype) => row(dtype, ids),
      attention_mask: (dtype) =>
        row(
          dtype,
          count(past + ids.length).map(() => 1),
        ),
      position_ids: (dtype) => row(dtype, count(ids.length, past)),
      cache_position: (dtype) => tensor(dtype, [ids.length], count(ids.length, past)),
      write_indices: (dtype) => tensor(dtype, [1], [past]),
      lengths: (dtype) => tensor(dtype, [1], [past + ids.length]),
    };
    return Object.fromEntries(Object.entries(inputs).map(([name, dtype]) => [name, values[name]!(dtype)]));
  };
}
