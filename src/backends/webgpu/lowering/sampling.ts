import type { Graph, Value } from "../../../ir/graph.ts";
import { type Dim, subtractDims } from "../../../tensor/dim.ts";
import { candidatePartialWords, candidatesFinish, candidatesPartial } from "../kernels/candidates/kernel.ts";
import { greedyFinish, greedyPartial, greedyPartialWords } from "../kernels/greedy/kernel.ts";
import type { Target } from "../target.ts";
import { wholeOf } from "./buffers.ts";
import { Emitter, type SharedMemory, type Step } from "./emitter.ts";
import { origin } from "./memory.ts";
import type { Schedule } from "./schedule.ts";

/** Tokens that are noted on the GPU before they are read: more than ever are on their way. */
const ringTokens = 256;
/** The likeliest tokens that are found. Top-k sampling with a k beyond it reads all logits. */
const candidateCount = 64;

const symbolsMemory = { kind: "symbols" } as const;
const ring = { kind: "sampled", size: 4 * ringTokens } as const;
const likeliest = { kind: "candidates", count: candidateCount } as const;

export interface SamplingSteps {
  readonly greedy: readonly Step[];
  readonly candidates: readonly Step[];
}

/** What chooses tokens from a language model's logits; undefined for a graph that is none, or keeps no cache. */
export function emitSampling(
  graph: Graph,
  schedule: Schedule,
  target: Target,
  memory: SharedMemory,
): SamplingSteps | undefined {
  const input = (name: string): Value | undefined =>
    graph.inputs.find(({ def }) => def.kind === "input" && def.name === name);
  const [tokens, start] = [input("tokens"), input("start_pos")];
  const logits = graph.outputs.find(({ name }) => name === "logits")?.value;
  const vocabulary = logits?.type.shape.at(-1);
  const isModel = graph.inputs.length === 2 && graph.states.length > 0 && graph.outputs.length === 1;
  if (!isModel || tokens === undefined || start === undefined || logits === undefined) return undefined;
  if (typeof vocabulary !== "number" || typeof tokens.type.shape[1] === "number") return undefined;

  const parts: Parts = {
    emitter: () => new Emitter(schedule, target, memory),
    tokens,
    logits,
    vocabulary,
    row: logits.type.shape.length === 3 ? subtractDims(tokens.type.shape[1]!, 1) : 0,
  };
  return { greedy: greedySteps(parts), candidates: candidateSteps(parts) };
}

interface Parts {
  emitter(): Emitter;
  readonly tokens: Value;
  readonly logits: Value;
  readonly vocabulary: number;
  /** The row of the logits that belongs to the last position. */
  readonly row: Dim;
}

function greedySteps({ emitter, tokens, logits, vocabulary, row }: Parts): readonly Step[] {
  const to = emitter();
  const at = logits.node!;
  const partials = to.scratch(greedyPartialWords(vocabulary));
  to.dispatch(greedyPartial, { vocabulary, row }, { logits: to.define(origin(logits)), partials }, at);
  const bindings = {
    partials,
    position: wholeOf(symbolsMemory),
    tokens: to.read(tokens),
    sampled: wholeOf(ring),
  };
  to.dispatch(greedyFinish, { vocabulary, sampled: ringTokens }, bindings, at);
  return to.steps;
}

function candidateSteps({ emitter, logits, vocabulary, row }: Parts): readonly Step[] {
  const to = emitter();
  const at = logits.node!;
  const params = { vocabulary, count: candidateCount };
  const partials = to.scratch(candidatePartialWords(params));
  to.dispatch(candidatesPartial, { ...params, row }, { logits: to.define(origin(logits)), partials }, at);
  const candidates = wholeOf(likeliest);
  to.dispatch(candidatesFinish, params, { partials, candidates }, at);
  return to.steps;
}
