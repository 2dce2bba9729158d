import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError } from "../../errors.ts";
import { alignUp } from "../../tensor/align.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { ProgramGraph } from "../graph.ts";
import type { Sizes } from "../sizes.ts";
import { PlanBuffers, Readback, type ReadRange } from "./buffers.ts";
import { Calls } from "./calls.ts";
import type { ChosenDevice } from "./device.ts";
import { toDevice } from "./elements.ts";
import { DeviceGuard } from "./guard.ts";
import type { Plan } from "./plan.ts";
import { Profiler } from "./profile.ts";
import { bytesMoved } from "./step-bytes.ts";
import { type PreparedVariant, prepareVariant, type Recording, recordPass } from "./steps.ts";

/** Names of the symbols stand for words of the symbols buffer. */
const symbolWords = 4;

/** A plan on a device: its memory, its pipelines, and how work gets there and results come back. */
export class Engine {
  readonly graph: ProgramGraph;
  readonly plan: Plan;
  readonly device: GPUDevice;
  readonly guard: DeviceGuard;
  readonly buffers: PlanBuffers;
  readonly calls: Calls;
  readonly prepared: PreparedVariant;
  readonly #isOwn: boolean;
  readonly #readback: Readback;
  readonly #words = new Uint32Array(symbolWords);
  #profiler: Profiler | undefined;

  /** @throws BitnetcError `device-out-of-memory`, `device-validation`, `device-internal`, `device-lost` */
  static async create(
    graph: ProgramGraph,
    plan: Plan,
    { device, variant, isOwn }: ChosenDevice,
  ): Promise<Engine> {
    const guard = new DeviceGuard(device);
    let buffers: PlanBuffers | undefined;
    try {
      const prepared = await guard.until(async () => {
        buffers = new PlanBuffers(device, plan, variant);
        return prepareVariant(device, plan, variant, buffers);
      });
      return new Engine(graph, plan, device, isOwn, guard, buffers!, prepared);
    } catch (error) {
      buffers?.destroy();
      if (isOwn) device.destroy();
      throw error;
    }
  }

  private constructor(
    graph: ProgramGraph,
    plan: Plan,
    device: GPUDevice,
    isOwn: boolean,
    guard: DeviceGuard,
    buffers: PlanBuffers,
    prepared: PreparedVariant,
  ) {
    this.graph = graph;
    this.plan = plan;
    this.device = device;
    this.#isOwn = isOwn;
    this.guard = guard;
    this.buffers = buffers;
    this.prepared = prepared;
    this.calls = new Calls(graph, prepared.schedules);
    this.#readback = new Readback(device);
  }

  /** Writes a call's inputs, and the values of the symbols. For use within `submit`. */
  writeInputs(inputs: Readonly<Record<string, Tensor>>, symbols: Sizes): void {
    const { queue } = this.device;
    for (const { name } of this.graph.inputs) {
      const buffer = this.buffers.named("input", name);
      // an input that no shader reads may have none: the symbols say all of it
      if (buffer !== undefined) this.write(buffer, 0, toDevice(inputs[name]!));
    }
    this.plan.symbols.forEach((name, i) => {
      this.#words[i] = symbols.get(name) ?? 0;
    });
    queue.writeBuffer(this.buffers.symbols, 0, this.#words);
  }

  /** Writes bytes, and zeros up to a whole word. */
  write(buffer: GPUBuffer, offset: number, bytes: Uint8Array<ArrayBuffer>): void {
    let whole = bytes;
    if (bytes.length % 4 !== 0) {
      whole = new Uint8Array(alignUp(bytes.length, 4));
      whole.set(bytes);
    }
    this.device.queue.writeBuffer(buffer, offset, whole);
  }

  /**
   * Submits what `record` records, and reads back the ranges that it gives, one behind the other.
   * @returns what `use` makes of their bytes, when they are there
   * @throws BitnetcError `device-lost`, `device-out-of-memory`, `device-validation`, `device-internal`
   */
  async submit<T>(
    record: (recording: Recording, encoder: GPUCommandEncoder) => readonly ReadRange[],
    use: (bytes: Uint8Array<ArrayBuffer>) => T,
  ): Promise<T> {
    const [work, isValid] = this.guard.watch(() => {
      const encoder = this.device.createCommandEncoder();
      const recording = this.#profiler?.record(encoder) ?? recordPass(encoder);
      const ranges = record(recording, encoder);
      const read = this.#readback.copy(encoder, ranges);
      this.device.queue.submit([encoder.finish()]);
      return [read(use), recording.submitted?.()] as const;
    });
    try {
      const [result] = await Promise.all([...work, isValid]);
      return result as T;
    } catch (cause) {
      return this.guard.explain(cause);
    }
  }

  /**
   * Measures every dispatch from now on, or no longer.
   * @throws BitnetcError `no-timestamps`
   */
  profile(on: boolean): void {
    if (on && !this.device.features.has("timestamp-query"))
      throw new BitnetcError(diagnostics.noTimestamps());
    if (!on) this.#profiler = undefined;
    else this.#profiler ??= new Profiler(this.device, this.#readback, bytesMoved(this));
  }

  get profiler(): Profiler | undefined {
    return this.#profiler;
  }

  dispose(): void {
    this.guard.close();
    this.buffers.destroy();
    this.#readback.destroy();
    if (this.#isOwn) this.device.destroy();
  }
}
