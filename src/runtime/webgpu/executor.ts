import { alignUp } from "../../tensor/align.ts";
import { type Dim, evaluateDim } from "../../tensor/dim.ts";
import type { DType } from "../../tensor/dtype.ts";
import { elementCount, type Tensor, tensor } from "../../tensor/tensor.ts";
import type { DeviceSampling, Executor } from "../executor.ts";
import type { ProgramGraph } from "../graph.ts";
import { evaluateSizes, type Sizes } from "../sizes.ts";
import type { ReadRange } from "./buffers.ts";
import type { ChosenDevice } from "./device.ts";
import { deviceBytes, fromDevice, toDevice } from "./elements.ts";
import { Engine } from "./engine.ts";
import type { Plan } from "./plan.ts";
import type { ProfileEntry } from "./profile.ts";
import { createSampling } from "./sampling.ts";
import { type Blobs, fillWeights } from "./weights.ts";

export interface WebGpuOptions {
  /** Hears of bytes of weights that are loaded. */
  readonly onProgress?: ((loaded: number, total: number) => void) | undefined;
}

/** An executor that can say where the time goes. */
export type WebGpuExecutor = Executor & Required<Pick<Executor, "profile" | "takeProfile">>;

/**
 * Runs a plan on a device. A device of our own is destroyed when it fails, and when the executor is disposed of.
 * @throws BitnetcError `device-out-of-memory`, `device-validation`, `device-internal`, `device-lost`; for weights
 * that are no ternary codes; what reading them throws
 */
export async function createWebGpuExecutor(
  graph: ProgramGraph,
  plan: Plan,
  chosen: ChosenDevice,
  blobs: Blobs,
  { onProgress }: WebGpuOptions = {},
): Promise<WebGpuExecutor> {
  const engine = await Engine.create(graph, plan, chosen);
  try {
    const { guard, device, buffers } = engine;
    await fillWeights(guard, device.queue, graph, plan, buffers.all, blobs, onProgress);
  } catch (error) {
    engine.dispose();
    throw error;
  }
  return new PlanExecutor(engine, `webgpu (${chosen.name})`);
}

interface Result {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly Dim[];
  /** Absent for a tensor of sizes. */
  readonly buffer: GPUBuffer | undefined;
  readonly sizes: readonly Dim[];
}

class PlanExecutor implements WebGpuExecutor {
  readonly #engine: Engine;
  readonly #results: readonly Result[];
  readonly device: string;
  readonly maxCallSize?: number;
  readonly sampling: DeviceSampling | undefined;
  readonly dispatchesPerToken: number | undefined;

  constructor(engine: Engine, device: string) {
    this.#engine = engine;
    this.device = device;
    const { graph, buffers, calls, prepared } = engine;
    const decode = prepared.schedules[calls.scheduleForToken()];
    this.dispatchesPerToken = decode && decode.steps.length + (prepared.greedy?.steps.length ?? 0);
    if (calls.maxSize !== undefined) this.maxCallSize = calls.maxSize;
    this.sampling = createSampling(engine);
    this.#results = graph.outputs.map(({ name, value }) => {
      const buffer = buffers.named("output", name);
      const sizes = graph.dims.find((dims) => dims.value === value)?.sizes;
      if (buffer === undefined && sizes === undefined) throw new Error(`the plan has no output ${name}`);
      return { name, ...graph.values[value]!, buffer, sizes: sizes ?? [] };
    });
  }

  async run(
    inputs: Readonly<Record<string, Tensor>>,
    wanted?: readonly string[],
  ): Promise<Record<string, Tensor>> {
    const { calls, prepared } = this.#engine;
    const symbols = calls.symbolsOf(inputs);
    const results = this.#results.filter(({ name }) => wanted?.includes(name) ?? true);
    const shapes = results.map(({ shape }) => evaluateSizes(shape, symbols));
    const ranges = results.flatMap(({ buffer, dtype }, i): readonly ReadRange[] => {
      const size = alignUp(deviceBytes(dtype, elementCount(shapes[i]!)), 4);
      return buffer === undefined ? [] : [{ buffer, offset: 0, size }];
    });
    return this.#engine.submit(
      (recording) => {
        this.#engine.writeInputs(inputs, symbols);
        recording.add(prepared.schedules[calls.scheduleFor(symbols)]!, symbols);
        recording.end();
        return ranges;
      },
      (bytes) => outputsOf(results, bytes, shapes, symbols),
    );
  }

  readState(name: string, length: number): Promise<Tensor> {
    const { buffer, dtype, shape, parts } = this.#rows(name, length);
    return this.#engine.submit(
      (recording) => {
        recording.end();
        return parts.map(({ offset, size }) => ({ buffer, offset, size }));
      },
      (bytes) => ({ dtype, shape, data: fromDevice(dtype, bytes, elementCount(shape)) }),
    );
  }

  async writeState(name: string, rows: Tensor): Promise<void> {
    const { buffer, dtype, shape, parts } = this.#rows(name, rows.shape.at(-2) ?? 0);
    if (rows.dtype !== dtype || String(rows.shape) !== String(shape))
      throw new Error(`${rows.dtype} [${rows.shape}] are no rows of the state ${name}, ${dtype} [${shape}]`);
    const bytes = toDevice(rows);
    const [, isValid] = this.#engine.guard.watch(() => {
      let at = 0;
      for (const { offset, size } of parts) {
        this.#engine.write(buffer, offset, bytes.subarray(at, at + size));
        at += size;
      }
    });
    await isValid;
  }

  /** Where the first `length` rows of a state lie: those of each head together. */
  #rows(name: string, length: number) {
    const { graph, buffers } = this.#engine;
    const state = graph.states.find((each) => each.name === name);
    const buffer = buffers.named("state", name);
    if (state === undefined || buffer === undefined) throw new Error(`the program has no state ${name}`);
    const { dtype, shape } = graph.values[state.value]!;
    const sizes = evaluateSizes(shape, new Map());
    const [capacity, width] = sizes.slice(-2) as [number, number];
    if (!(length >= 0 && length <= capacity))
      throw new RangeError(`the state ${name} has ${capacity} rows, not ${length}`);
    const heads = elementCount(sizes.slice(0, -2));
    const parts = Array.from({ length: heads }, (_, head) => ({
      offset: deviceBytes(dtype, head * capacity * width),
      size: deviceBytes(dtype, length * width),
    }));
    return { buffer, dtype, shape: [...sizes.slice(0, -2), length, width], parts };
  }

  reset(): void {
    const { device, guard, graph, buffers } = this.#engine;
    const [, isValid] = guard.watch(() => {
      const encoder = device.createCommandEncoder();
      for (const { name } of graph.states) {
        const buffer = buffers.named("state", name);
        if (buffer !== undefined) encoder.clearBuffer(buffer);
      }
      device.queue.submit([encoder.finish()]);
    });
    // a fault shows in the next call
    isValid.catch(() => {});
  }

  profile(on: boolean): void {
    this.#engine.profile(on);
  }

  takeProfile(): readonly ProfileEntry[] {
    return this.#engine.profiler?.take() ?? [];
  }

  dispose(): void {
    this.#engine.dispose();
  }
}

/** @param bytes those of the results that have a buffer, one behind the other */
function outputsOf(
  results: readonly Result[],
  bytes: Uint8Array<ArrayBuffer>,
  shapes: readonly (readonly number[])[],
  symbols: Sizes,
): Record<string, Tensor> {
  let at = 0;
  const outputs: Record<string, Tensor> = {};
  results.forEach(({ name, dtype, buffer, sizes }, i) => {
    const shape = shapes[i]!;
    if (buffer === undefined) {
      const values = sizes.map((size) => evaluateDim(size, symbols));
      outputs[name] = tensor(dtype, shape, values);
      return;
    }
    const count = elementCount(shape);
    outputs[name] = { dtype, shape, data: fromDevice(dtype, bytes.subarray(at), count) };
    at += alignUp(deviceBytes(dtype, count), 4);
  });
  return outputs;
}
