import { type DType, isTernaryBlock } from "../../tensor/dtype.ts";
import { byteLength, decodeElements, encodeElements } from "../../tensor/tensor.ts";
import type { ProgramConstant, ProgramGraph } from "../graph.ts";
import { deviceDType, toDevice } from "./elements.ts";
import type { DeviceGuard } from "./guard.ts";
import type { Plan, WeightLayout, WeightPart } from "./plan.ts";
import { blockBytes, codeBytes, toTernaryCodes } from "./ternary-codes.ts";

/** Constants of a program, by key. */
export interface Blobs {
  readonly blobs: ReadonlyMap<string, { readonly size: number }>;
  /** What a blob holds, checked, in pieces of any size. */
  chunks(key: string): AsyncIterable<Uint8Array>;
}

/** Bytes that go to the GPU at once. */
const roundBytes = 2 ** 21;
/** Bytes that may be under way to the GPU. */
const maxUnderWay = 2 ** 26;

/** How bytes of a constant become those that lie in GPU memory, unit by unit. */
interface Conversion {
  /** Bytes of a unit in the program, and in GPU memory. */
  readonly from: number;
  readonly to: number;
  /** Converts the first `units` units; the first of them is number `first` of the constant. Absent: they are the same. */
  convert?(
    input: Uint8Array<ArrayBuffer>,
    output: Uint8Array<ArrayBuffer>,
    units: number,
    first: number,
  ): void;
}

function conversionOf(dtype: DType, layout: WeightLayout, rowLength: number): Conversion {
  if (layout === "ternary-codes") {
    if (!isTernaryBlock(dtype)) throw new Error(`a constant of ${dtype} does not hold ternary blocks`);
    const rowBlocks = Math.max(1, Math.ceil(rowLength / 256));
    return {
      from: blockBytes[dtype],
      to: codeBytes,
      convert: (input, output, units, first) => toTernaryCodes(dtype, input, output, units, first, rowBlocks),
    };
  }
  const held = deviceDType(dtype);
  if (held === dtype) return { from: 1, to: 1 };
  return {
    from: byteLength(dtype, 1),
    to: byteLength(held, 1),
    convert: (input, output, units) =>
      output.set(toDevice({ dtype, data: decodeElements(dtype, input, units) })),
  };
}

interface Target extends WeightPart {
  readonly into: GPUBuffer;
}

/** Parts that are filled by the same bytes of the same constant. */
interface Filling {
  readonly constant: ProgramConstant;
  readonly conversion: Conversion;
  readonly targets: Target[];
}

/**
 * Fills weight buffers with the constants of a graph, in little memory.
 * @param buffers by the plan's numbers; those that are absent are not needed
 * @throws BitnetcError for faults of the device, and of ternary weights; what reading the constants throws
 */
export async function fillWeights(
  guard: DeviceGuard,
  queue: GPUQueue,
  graph: ProgramGraph,
  plan: Plan,
  buffers: readonly (GPUBuffer | undefined)[],
  program: Blobs,
  onProgress?: (loaded: number, total: number) => void,
): Promise<void> {
  const fillings = fillingsOf(graph, plan, buffers);
  const sizeOf = ({ constant }: Filling): number =>
    "key" in constant ? (program.blobs.get(constant.key)?.size ?? 0) : 0;
  const total = fillings.reduce((sum, filling) => sum + sizeOf(filling), 0);
  let loaded = 0;
  let underWay = 0;
  const checks: Promise<void>[] = [];

  const write = async (targets: readonly Target[], bytes: Uint8Array<ArrayBuffer>, at: number) => {
    const [, isValid] = guard.watch(() => {
      for (const target of targets) writePart(queue, target, bytes, at);
    });
    isValid.catch(() => {});
    checks.push(isValid);
    underWay += bytes.byteLength;
    if (underWay > maxUnderWay) await drain();
  };
  const drain = async () => {
    underWay = 0;
    queue.submit([]);
    await Promise.all([queue.onSubmittedWorkDone(), ...checks.splice(0)]).catch((cause) =>
      guard.explain(cause),
    );
    guard.check();
  };

  const memory = [new ArrayBuffer(roundBytes), new ArrayBuffer(roundBytes)] as const;
  for (const { constant, conversion, targets } of fillings) {
    const { from, to, convert } = conversion;
    const units = Math.floor(roundBytes / Math.max(from, to));
    const input = new Uint8Array(memory[0], 0, from * units);
    const output = convert === undefined ? input : new Uint8Array(memory[1]);
    let held = 0;
    let done = 0;
    const flush = async () => {
      const whole = Math.floor(held / from);
      convert?.(input, output, whole, done);
      await write(targets, output.subarray(0, whole * to), done * to);
      done += whole;
      input.copyWithin(0, whole * from, held);
      held -= whole * from;
    };
    const pieces =
      "key" in constant
        ? program.chunks(constant.key)
        : [encodeElements(constant.inline.dtype, constant.inline.data)];
    for await (const piece of pieces) {
      for (let at = 0; at < piece.length; ) {
        const size = Math.min(piece.length - at, input.length - held);
        input.set(piece.subarray(at, at + size), held);
        held += size;
        at += size;
        if (held === input.length) await flush();
      }
      if (!("key" in constant)) continue;
      loaded += piece.length;
      onProgress?.(loaded, total);
    }
    await flush();
    if (held > 0 || targets.some((part) => part.from + part.size > done * to))
      throw new Error(`the constant ${constant.value} has fewer bytes than the plan takes`);
  }
  await drain();
}

function fillingsOf(
  graph: ProgramGraph,
  plan: Plan,
  buffers: readonly (GPUBuffer | undefined)[],
): readonly Filling[] {
  const constants = new Map(graph.constants.map((constant) => [constant.value, constant]));
  const fillings = new Map<string, Filling>();
  plan.buffers.forEach((buffer, i) => {
    const into = buffers[i];
    if (buffer.kind !== "weights" || into === undefined) return;
    for (const part of buffer.parts) {
      const constant = constants.get(part.value);
      if (constant === undefined) throw new Error(`the value ${part.value} is no constant`);
      const { dtype, shape } = graph.values[part.value]!;
      const id = "key" in constant ? `${constant.key} ${dtype} ${part.layout}` : `inline ${part.value}`;
      let filling = fillings.get(id);
      if (filling === undefined) {
        const conversion = conversionOf(dtype, part.layout, Number(shape.at(-1) ?? 1));
        filling = { constant, conversion, targets: [] };
        fillings.set(id, filling);
      }
      filling.targets.push({ ...part, into });
    }
  });
  return [...fillings.values()];
}

/** Writes what a part takes of `bytes`, which begin at byte `at` of the constant, a multiple of 4. */
function writePart(queue: GPUQueue, part: Target, bytes: Uint8Array<ArrayBuffer>, at: number): void {
  const end = part.from + part.size;
  const low = Math.max(part.from, at);
  const high = Math.min(end, at + bytes.length);
  if (low >= high) return;
  const offset = part.offset + low - part.from;
  // WebGPU writes whole words
  const size = (high - low) & ~3;
  if (size > 0) queue.writeBuffer(part.into, offset, bytes, low - at, size);
  if (size < high - low) {
    const last = new Uint8Array(4);
    last.set(bytes.subarray(low - at + size, high - at));
    queue.writeBuffer(part.into, offset + size, last);
  }
}
