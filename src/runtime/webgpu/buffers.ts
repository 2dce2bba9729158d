import { alignUp } from "../../tensor/align.ts";
import type { BufferRange, Plan, PlanBuffer, PlanVariant } from "./plan.ts";

// Bits of GPUBufferUsage and of GPUMapMode, which the specification fixes; Node has no globals for them.
const mapRead = 1;
const copySrc = 4;
const copyDst = 8;
const uniform = 64;
const storage = 128;
const queryResolve = 512;
const mapModeRead = 1;

const usages = {
  weights: storage | copyDst,
  state: storage | copySrc | copyDst,
  input: storage | copyDst,
  output: storage | copySrc,
  sampled: storage | copySrc,
  candidates: storage | copySrc,
} as const;

const wordBytes = 4;
/** Staging buffers have sizes that are powers of two up to here, and multiples of this beyond. */
const largeStaging = 2 ** 22;
/** Of a vec4<u32>. */
const symbolsBytes = 16;

/** What a variant of a plan uses of GPU memory. */
export class PlanBuffers {
  readonly #plan: Plan;
  readonly #arena: GPUBuffer;
  readonly symbols: GPUBuffer;
  /** By the plan's numbers. Absent for ranges of the arena, and for weights that the variant does not use. */
  readonly all: readonly (GPUBuffer | undefined)[];

  constructor(device: GPUDevice, plan: Plan, variant: PlanVariant) {
    const create = (label: string, size: number, usage: number): GPUBuffer =>
      device.createBuffer({ label, size: Math.max(symbolsBytes, alignUp(size, wordBytes)), usage });
    this.#plan = plan;
    this.#arena = create("arena", variant.arenaSize, storage);
    this.symbols = create("symbols", symbolsBytes, uniform | storage | copyDst);
    const used = new Set<number>();
    for (const { bindings } of stepsOf(variant)) for (const { buffer } of bindings) used.add(buffer);
    this.all = plan.buffers.map((buffer, i) => {
      if (buffer.kind === "symbols") return this.symbols;
      if (buffer.kind === "scratch" || (buffer.kind === "weights" && !used.has(i))) return undefined;
      return create("name" in buffer ? buffer.name : buffer.kind, sizeOf(buffer), usages[buffer.kind]);
    });
  }

  binding({ buffer, offset, size }: BufferRange): GPUBufferBinding {
    const planned = this.#plan.buffers[buffer]!;
    return planned.kind === "scratch"
      ? { buffer: this.#arena, offset: planned.offset + offset, size }
      : { buffer: this.all[buffer]!, offset, size };
  }

  /** The buffer of an input, an output or a state. */
  named(kind: "input" | "output" | "state", name: string): GPUBuffer | undefined {
    return this.all[this.#plan.buffers.findIndex((each) => each.kind === kind && each.name === name)];
  }

  /** The words of the one buffer of a kind, without what fills it up. */
  words(kind: "sampled" | "candidates"): ReadRange | undefined {
    const index = this.#plan.buffers.findIndex((each) => each.kind === kind);
    const buffer = this.all[index];
    return buffer && { buffer, offset: 0, size: sizeOf(this.#plan.buffers[index]!) };
  }

  destroy(): void {
    for (const buffer of [...this.all, this.#arena, this.symbols]) buffer?.destroy();
  }
}

const sizeOf = (buffer: PlanBuffer): number => {
  if (buffer.kind === "symbols") return symbolsBytes;
  return buffer.kind === "candidates" ? buffer.count * 2 * wordBytes : buffer.size;
};

export const stepsOf = ({ schedules, greedy = [], candidates = [] }: PlanVariant) => [
  ...schedules.flatMap(({ steps }) => steps),
  ...greedy,
  ...candidates,
];

/** Part of a buffer that is read back. In bytes, multiples of 4. */
export interface ReadRange {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

/** Waits for what was copied, and gives what `use` makes of the bytes, which lie there only meanwhile. */
export type Reader = <T>(use: (bytes: Uint8Array<ArrayBuffer>) => T) => Promise<T>;

/** Reads GPU memory back, through buffers that are used again. */
export class Readback {
  readonly #device: GPUDevice;
  readonly #all: GPUBuffer[] = [];
  readonly #free: GPUBuffer[] = [];

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Records copies of the ranges, one behind the other. What it gives is to be called once, after the submission. */
  copy(encoder: GPUCommandEncoder, ranges: readonly ReadRange[]): Reader {
    const total = ranges.reduce((sum, { size }) => sum + size, 0);
    const step = total < largeStaging ? 2 ** Math.ceil(Math.log2(Math.max(256, total))) : largeStaging;
    const staging = this.#take(alignUp(total, step) || step);
    let at = 0;
    for (const { buffer, offset, size } of ranges) {
      if (size > 0) encoder.copyBufferToBuffer(buffer, offset, staging, at, size);
      at += size;
    }
    return async (use) => {
      const size = Math.max(wordBytes, total);
      await staging.mapAsync(mapModeRead, 0, size);
      const result = use(new Uint8Array(staging.getMappedRange(0, size)));
      staging.unmap();
      this.#free.push(staging);
      return result;
    };
  }

  #take(size: number): GPUBuffer {
    const index = this.#free.findIndex((buffer) => buffer.size === size);
    if (index >= 0) return this.#free.splice(index, 1)[0]!;
    const staging = this.#device.createBuffer({ label: "staging", size, usage: mapRead | copyDst });
    this.#all.push(staging);
    return staging;
  }

  destroy(): void {
    for (const buffer of this.#all) buffer.destroy();
  }
}

/** A buffer for the results of queries. */
export const queryBuffer = (device: GPUDevice, size: number): GPUBuffer =>
  device.createBuffer({ label: "queries", size, usage: queryResolve | copySrc });
