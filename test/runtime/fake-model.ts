import { bindInputs } from "../../src/runtime/cpu/inputs.ts";
import type { Executor } from "../../src/runtime/executor.ts";
import type { ProgramGraph } from "../../src/runtime/graph.ts";
import { type ProgramFacts, Session } from "../../src/runtime/session.ts";
import { symbol } from "../../src/tensor/dim.ts";
import { tensor } from "../../src/tensor/tensor.ts";

export const vocabSize = 11;

/** Logits after a sequence: they depend on every token and its position, so that a wrong cache shows. */
export function logitsAfter(ids: readonly number[]): Float32Array {
  const mixed = ids.reduce((sum, id, position) => (sum * 31 + (id + 1) * (position + 7)) % 9973, 17);
  return Float32Array.from({ length: vocabSize }, (_, v) => Math.sin(mixed * (v + 1)));
}

export const argmax = (logits: ArrayLike<number>): number =>
  Array.from(logits).reduce((best, logit, i) => (logit > logits[best]! ? i : best), 0);

/** The greedy continuation of `ids`. */
export function greedy(ids: readonly number[], count: number): number[] {
  const all = [...ids];
  for (let i = 0; i < count; i++) all.push(argmax(logitsAfter(all)));
  return all.slice(ids.length);
}

export interface FakeOptions {
  readonly logits?: "last" | "all";
  readonly cache?: boolean;
  readonly maxSeqLen?: number;
  readonly callSize?: number;
  readonly facts?: Partial<ProgramFacts>;
}

/** A session on a program that remembers its tokens where a real one has keys and values. */
export function fakeSession(options: FakeOptions = {}) {
  const { logits = "last", cache = true, maxSeqLen = 32, callSize = maxSeqLen, facts = {} } = options;
  const sequence = symbol("seq", callSize, 1);
  const graph: ProgramGraph = {
    values: [
      { dtype: "i64", shape: [1, sequence] },
      { dtype: "i64", shape: [1] },
      { dtype: "f32", shape: logits === "all" ? [1, sequence, vocabSize] : [1, vocabSize] },
    ],
    inputs: [{ name: "tokens", value: 0 }, ...(cache ? [{ name: "start_pos", value: 1 }] : [])],
    outputs: [{ name: "logits", value: 2 }],
    states: [],
    constants: [],
    dims: [],
    nodes: [],
  };
  const calls: { readonly ids: readonly number[]; readonly start: number }[] = [];
  let memory: number[] = [];
  const executor: Executor = {
    device: "fake",
    async run(inputs) {
      bindInputs(graph, inputs);
      const { tokens, start_pos } = inputs;
      const ids = Array.from(tokens!.data);
      const start = start_pos?.data[0] ?? 0;
      calls.push({ ids, start });
      memory = [...memory.slice(0, start), ...ids];
      const ends = logits === "all" ? ids.map((_, i) => start + i + 1) : [start + ids.length];
      const rows = ends.flatMap((end) => [...logitsAfter(memory.slice(0, end))]);
      const shape = logits === "all" ? [1, ids.length, vocabSize] : [1, vocabSize];
      return { logits: tensor("f32", shape, rows) };
    },
    reset: () => {
      memory = [];
    },
    dispose: () => {},
  };
  const session = new Session(executor, graph, {
    maxSeqLen,
    bosId: undefined,
    eosIds: [],
    texts: {},
    sampling: {},
    ...facts,
  });
  return { session, calls };
}
