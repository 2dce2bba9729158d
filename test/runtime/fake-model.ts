import type { Executor } from "../../src/runtime/executor.ts";
import type { ProgramGraph } from "../../src/runtime/graph.ts";
import { bindInputs } from "../../src/runtime/inputs.ts";
import { type ProgramFacts, Session } from "../../src/runtime/session.ts";
import { symbol } from "../../src/tensor/dim.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";

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
  /** What the executor takes at once. */
  readonly maxCallSize?: number;
  /** A device that chooses tokens, `batch` at a time, and gives candidates. */
  readonly sampling?: { readonly batch: number; readonly maxCandidates: number };
  /** Happens in each call. */
  readonly onCall?: () => Promise<void>;
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
      { dtype: "f32", shape: [1, 1, maxSeqLen, 1] },
    ],
    inputs: [{ name: "tokens", value: 0 }, ...(cache ? [{ name: "start_pos", value: 1 }] : [])],
    outputs: [{ name: "logits", value: 2 }],
    states: cache ? [{ name: "memory", value: 3 }] : [],
    constants: [],
    dims: [],
    nodes: [],
  };
  const calls: { readonly ids: readonly number[]; readonly start: number }[] = [];
  /** What is in it, loops that go on, and how often it was disposed of and gave logits. */
  const device = { memory: [] as number[], loops: 0, isDisposed: 0, reads: 0 };
  const call = async (inputs: Readonly<Record<string, Tensor>>) => {
    bindInputs(graph, inputs);
    const { tokens, start_pos } = inputs;
    const ids = Array.from(tokens!.data);
    if (ids.length > (options.maxCallSize ?? ids.length)) throw new Error("the call is too large");
    const start = start_pos?.data[0] ?? 0;
    await options.onCall?.();
    calls.push({ ids, start });
    device.memory.splice(start, ids.length, ...ids);
    return { ids, start, end: start + ids.length };
  };
  const sampling = options.sampling && {
    maxCandidates: options.sampling.maxCandidates,
    async candidates(inputs: Readonly<Record<string, Tensor>>) {
      const { end } = await call(inputs);
      const scores = logitsAfter(device.memory.slice(0, end));
      const ids = Uint32Array.from(scores, (_, i) => i).sort((a, b) => scores[b]! - scores[a]! || a - b);
      const best = ids.subarray(0, options.sampling!.maxCandidates);
      return { ids: best, logits: Float32Array.from(best, (id) => scores[id]!) };
    },
    async *greedy(inputs: Readonly<Record<string, Tensor>>, limit: number) {
      device.loops++;
      try {
        let { end } = await call(inputs);
        for (let made = 0; made < limit; ) {
          const batch: number[] = [];
          while (batch.length < options.sampling!.batch && made + batch.length < limit) {
            if (batch.length + made > 0) await options.onCall?.();
            const id = argmax(logitsAfter(device.memory.slice(0, end)));
            batch.push(id);
            device.memory[end++] = id;
          }
          made += batch.length;
          yield* batch;
        }
      } finally {
        device.loops--;
      }
    },
  };
  const executor: Executor = {
    device: "fake",
    ...(options.maxCallSize && { maxCallSize: options.maxCallSize }),
    ...(sampling && { sampling }),
    async run(inputs, wanted = ["logits"]) {
      if (device.loops > 0) throw new Error("the device still chooses tokens");
      const { ids, start, end } = await call(inputs);
      if (wanted.length === 0) return {};
      device.reads++;
      const ends = logits === "all" ? ids.map((_, i) => start + i + 1) : [end];
      const rows = ends.flatMap((end) => [...logitsAfter(device.memory.slice(0, end))]);
      const shape = logits === "all" ? [1, ids.length, vocabSize] : [1, vocabSize];
      return { logits: tensor("f32", shape, rows) };
    },
    readState: async (_, length) => tensor("f32", [1, 1, length, 1], device.memory.slice(0, length)),
    async writeState(_, { data, shape }) {
      device.memory.splice(0, shape[2]!, ...data);
    },
    reset: () => {
      device.memory = [];
    },
    dispose: () => {
      device.isDisposed++;
    },
  };
  const session = new Session(executor, graph, {
    maxSeqLen,
    bosId: undefined,
    eosIds: [],
    texts: {},
    sampling: {},
    identity: "0123",
    ...facts,
  });
  return { session, calls, device };
}
