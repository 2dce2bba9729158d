import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError } from "../../errors.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Candidates, DeviceSampling } from "../executor.ts";
import type { ReadRange } from "./buffers.ts";
import type { Engine } from "./engine.ts";
import type { PreparedSteps } from "./steps.ts";

type Inputs = Readonly<Record<string, Tensor>>;

/** What stands in the place of a token when no logit is a number. */
const noToken = 0xffffffff;
/** Calls that are submitted together, at most. */
const maxBatch = 16;
/** Milliseconds that a batch may take, so that text comes smoothly. */
const smoothTime = 30;
/** Batches that the device may have before it: one that runs, and one that waits. */
const maxUnderWay = 2;

/** @returns undefined for a plan without steps that choose tokens */
export function createSampling(engine: Engine): DeviceSampling | undefined {
  const { greedy, candidates } = engine.prepared;
  const sampled = engine.buffers.words("sampled");
  const likeliest = engine.buffers.words("candidates");
  if (greedy === undefined || candidates === undefined || sampled === undefined || likeliest === undefined)
    return undefined;
  return {
    maxCandidates: likeliest.size / 8,
    candidates: (inputs) => findCandidates(engine, candidates, inputs, likeliest),
    greedy: (inputs, limit) => chooseGreedily(engine, greedy, inputs, limit, sampled),
  };
}

async function findCandidates(
  engine: Engine,
  steps: PreparedSteps,
  inputs: Inputs,
  range: ReadRange,
): Promise<Candidates> {
  const { calls, prepared } = engine;
  const count = range.size / 8;
  const symbols = calls.symbolsOf(inputs);
  const found = await engine.submit(
    (recording) => {
      engine.writeInputs(inputs, symbols);
      recording.add(prepared.schedules[calls.scheduleFor(symbols)]!, symbols);
      recording.add(steps, symbols);
      recording.end();
      return [range];
    },
    ({ buffer, byteOffset }) => ({
      ids: new Uint32Array(buffer, byteOffset, count).slice(),
      logits: new Float32Array(buffer, byteOffset + 4 * count, count).slice(),
    }),
  );
  if (found.ids[0] === noToken) throw new BitnetcError(diagnostics.logitsNotFinite());
  return found;
}

interface Batch {
  readonly tokens: Uint32Array;
  readonly submitted: number;
  readonly done: number;
}

async function* chooseGreedily(
  engine: Engine,
  steps: PreparedSteps,
  inputs: Inputs,
  limit: number,
  ring: ReadRange,
): AsyncGenerator<number, void> {
  const { calls, prepared } = engine;
  const symbols = calls.symbolsOf(inputs);
  const room = ring.size / 4;
  let isFirst = true;
  let left = limit;
  let batchSize = 1;

  const submit = async (): Promise<Batch> => {
    const submitted = performance.now();
    const tokens = await engine.submit(
      (recording) => {
        if (isFirst) engine.writeInputs(inputs, symbols);
        isFirst = false;
        const from = calls.end(symbols) - 1;
        const most = Math.min(batchSize, room, left);
        let made = 0;
        for (let hasRoom = true; hasRoom && made < most; made++) {
          recording.add(prepared.schedules[calls.scheduleFor(symbols)]!, symbols);
          recording.add(steps, symbols);
          hasRoom = calls.advance(symbols);
          left = hasRoom ? left - 1 : 0;
        }
        recording.end();
        return slicesOf(ring.buffer, from % room, made, room);
      },
      ({ buffer, byteOffset, byteLength }) => new Uint32Array(buffer, byteOffset, byteLength / 4).slice(),
    );
    return { tokens, submitted, done: performance.now() };
  };

  const underWay: Promise<Batch>[] = [];
  let lastDone = 0;
  while (left > 0 || underWay.length > 0) {
    while (left > 0 && underWay.length < maxUnderWay) {
      const batch = submit();
      // the caller may stop before it is waited for
      batch.catch(() => {});
      underWay.push(batch);
    }
    const { tokens, submitted, done } = await underWay.shift()!;
    const fitting = Math.floor((smoothTime * tokens.length) / (done - Math.max(submitted, lastDone)));
    lastDone = done;
    batchSize = Math.max(1, Math.min(2 * batchSize, fitting, maxBatch));
    for (const token of tokens) {
      if (token === noToken) throw new BitnetcError(diagnostics.logitsNotFinite());
      yield token;
    }
  }
}

/** Where `count` tokens lie that begin at `first` in a ring. */
function slicesOf(buffer: GPUBuffer, first: number, count: number, room: number): readonly ReadRange[] {
  const whole = Math.min(count, room - first);
  return [
    { buffer, offset: 4 * first, size: 4 * whole },
    { buffer, offset: 0, size: 4 * (count - whole) },
  ];
}
