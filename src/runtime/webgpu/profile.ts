import { queryBuffer, type Readback } from "./buffers.ts";
import type { PlanStep, StepClass } from "./plan.ts";
import type { BytesMoved } from "./step-bytes.ts";
import { type PreparedSteps, type Recording, setCounts } from "./steps.ts";

/** Time that the dispatches of one kernel for one part of a model took. */
export interface ProfileEntry {
  readonly kernel: string;
  readonly class: StepClass;
  /** Where in the model it comes from. */
  readonly source: string;
  /** The plan's schedule, or `greedy` or `candidates` for what comes after a call. */
  readonly schedule: string;
  /** Of all dispatches together. */
  readonly nanoseconds: number;
  /** Dispatches. */
  readonly count: number;
  /** Of GPU memory, that all of them together move, as far as what they are bound to tells: see `bytesMoved`. */
  readonly bytes: number;
}

/** WebGPU allows 4096 queries in a set: a beginning and an end for each step. */
const stepsPerSet = 2048;
const timeBytes = 8;

interface Recorded {
  readonly step: PlanStep;
  readonly schedule: string;
  readonly bytes: number;
}

/** Measures each dispatch, in a pass of its own. In browsers they are performance measures as well, one each. */
export class Profiler {
  readonly #device: GPUDevice;
  readonly #readback: Readback;
  readonly #bytesMoved: BytesMoved;
  #entries = new Map<string, ProfileEntry>();

  constructor(device: GPUDevice, readback: Readback, bytesMoved: BytesMoved) {
    this.#device = device;
    this.#readback = readback;
    this.#bytesMoved = bytesMoved;
  }

  record(encoder: GPUCommandEncoder): Recording {
    const recorded: Recorded[] = [];
    const sets: GPUQuerySet[] = [];
    let read: (() => Promise<void>) | undefined;
    return {
      add: (prepared, symbols) => {
        setCounts(prepared, symbols);
        prepared.steps.forEach((step, i) => {
          const at = recorded.length % stepsPerSet;
          if (at === 0) sets.push(this.#device.createQuerySet({ type: "timestamp", count: 2 * stepsPerSet }));
          recorded.push({ step, schedule: prepared.name, bytes: this.#bytesMoved(prepared, step, symbols) });
          this.#time(encoder, prepared, i, sets.at(-1)!, at);
        });
      },
      end: () => {
        const buffers = sets.map((set, i) => {
          const count = 2 * Math.min(stepsPerSet, recorded.length - i * stepsPerSet);
          const buffer = queryBuffer(this.#device, count * timeBytes);
          encoder.resolveQuerySet(set, 0, count, buffer, 0);
          return { buffer, offset: 0, size: count * timeBytes };
        });
        const reader = this.#readback.copy(encoder, buffers);
        read = async () => {
          await reader((bytes) => this.#note(recorded, new BigUint64Array(bytes.buffer, bytes.byteOffset)));
          for (const { buffer } of buffers) buffer.destroy();
          for (const set of sets) set.destroy();
        };
      },
      submitted: () => read!(),
    };
  }

  /** What was measured since the last time. */
  take(): readonly ProfileEntry[] {
    const entries = [...this.#entries.values()];
    this.#entries = new Map();
    return entries;
  }

  #time(encoder: GPUCommandEncoder, prepared: PreparedSteps, i: number, querySet: GPUQuerySet, at: number) {
    const pass = encoder.beginComputePass({
      timestampWrites: { querySet, beginningOfPassWriteIndex: 2 * at, endOfPassWriteIndex: 2 * at + 1 },
    });
    pass.setPipeline(prepared.pipelines[i]!);
    pass.setBindGroup(0, prepared.groups[i]!);
    const [x, y, z] = prepared.counts.subarray(3 * i);
    pass.dispatchWorkgroups(x!, y, z);
    pass.end();
  }

  #note(recorded: readonly Recorded[], times: BigUint64Array): void {
    const end = times[2 * recorded.length - 1]!;
    const now = performance.now();
    const isBrowser = "navigator" in globalThis && !("process" in globalThis);
    recorded.forEach(({ step, schedule, bytes }, i) => {
      const { kernel, class: stepClass, source } = step;
      const [from, to] = [times[2 * i]!, times[2 * i + 1]!];
      // a device may begin its count anew
      const nanoseconds = Math.max(0, Number(to - from));
      const key = [schedule, kernel, source].join("\n");
      const known = this.#entries.get(key) ?? { nanoseconds: 0, count: 0, bytes: 0 };
      this.#entries.set(key, {
        kernel,
        class: stepClass,
        source,
        schedule,
        nanoseconds: known.nanoseconds + nanoseconds,
        count: known.count + 1,
        bytes: known.bytes + bytes,
      });
      if (!isBrowser) return;
      const start = now - Number(end - from) / 1e6;
      performance.measure(stepClass, {
        start,
        duration: nanoseconds / 1e6,
        detail: { kernel, source, schedule },
      });
    });
  }
}
