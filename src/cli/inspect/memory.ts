import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError } from "../../errors.ts";
import type { ProgramDescription } from "../../serialize/describe-program.ts";
import type { ProgramMethod, SubsegmentTable, TensorTable } from "../../serialize/program.ts";

/** A planned buffer of a method, and the tensors in it in the order of their places. */
export interface PlannedBuffer {
  /** What tensors call it; the first one is 1. */
  readonly memory: number;
  readonly bytes: number;
  readonly device: string;
  readonly tensors: readonly {
    readonly value: number;
    readonly offset: number;
    /** null where the tensor's type or shape does not say. */
    readonly bytes: number | null;
  }[];
}

/** Initial contents of tensors: an entry of the table of the constant segment, or of the mutable one. */
export interface ConstantData {
  readonly index: number;
  readonly kind: "constant" | "mutable";
  readonly segment: number;
  readonly offset: number;
  /** null where no tensor's type says. */
  readonly bytes: number | null;
  readonly tensors: readonly { readonly method: string; readonly value: number }[];
}

const elementBytes: { readonly [name in TensorTable["scalarType"]]?: number } = {
  BYTE: 1,
  CHAR: 1,
  SHORT: 2,
  INT: 4,
  LONG: 8,
  HALF: 2,
  FLOAT: 4,
  DOUBLE: 8,
  BOOL: 1,
  QINT8: 1,
  QUINT8: 1,
  QINT32: 4,
  BFLOAT16: 2,
  BITS16: 2,
  FLOAT8E5M2: 1,
  FLOAT8E4M3FN: 1,
  FLOAT8E5M2FNUZ: 1,
  FLOAT8E4M3FNUZ: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
};

/** Bytes that a tensor takes at most. */
function tensorBytes({ scalarType, sizes, dynamism }: TensorTable): number | null {
  const size = elementBytes[scalarType];
  if (size === undefined || dynamism === "DYNAMIC_UNBOUND") return null;
  return sizes.reduce((product, length) => product * length, size);
}

/** @throws BitnetcError `program-corrupt` for a tensor that reaches beyond its buffer */
export function memoryPlan(at: string, method: ProgramMethod): readonly PlannedBuffer[] {
  const faults: string[] = [];
  const buffers = method.bufferSizes.map((bytes, memory) => {
    const on = method.bufferDevices.find(({ buffer }) => buffer === memory);
    const device = on === undefined ? "CPU" : `${on.device} ${on.deviceIndex}`;
    return { memory, bytes, device, tensors: [] as PlannedBuffer["tensors"][number][] };
  });
  for (const [value, tensor] of tensorsOf(method)) {
    if (tensor.allocation === undefined) continue;
    const { memory, offset } = tensor.allocation;
    const bytes = tensorBytes(tensor);
    const buffer = buffers[memory];
    if (buffer === undefined || offset + (bytes ?? 0) > buffer.bytes)
      faults.push(
        `value ${value} of ${method.name} ends at ${offset + (bytes ?? 0)} of the ${buffer?.bytes ?? 0} bytes of buffer ${memory}`,
      );
    buffer?.tensors.push({ value, offset, bytes });
  }
  refuse(at, faults);
  for (const { tensors } of buffers) tensors.sort((a, b) => a.offset - b.offset || a.value - b.value);
  return buffers.slice(1);
}

/** @throws BitnetcError `program-corrupt` for a tensor whose contents are not within their segment */
export function constantData(at: string, program: ProgramDescription): readonly ConstantData[] {
  const faults: string[] = [];
  const tables: readonly (readonly [ConstantData["kind"], SubsegmentTable | undefined])[] = [
    ["constant", program.constantSegment],
    // The runtime knows one.
    ["mutable", program.mutableSegments[0]],
  ];
  const found = tables.flatMap(([kind, table]) => {
    const users = new Map<number, { bytes: number | null; tensors: { method: string; value: number }[] }>();
    for (const method of program.methods) {
      for (const [value, tensor] of tensorsOf(method)) {
        const { dataBuffer, allocation, extra } = tensor;
        const isHere = kind === (allocation === undefined ? "constant" : "mutable");
        if (dataBuffer === 0 || !isHere || extra?.location === "EXTERNAL") continue;
        const bytes = tensorBytes(tensor);
        const known = users.get(dataBuffer) ?? { bytes, tensors: [] };
        known.tensors.push({ method: method.name, value });
        users.set(dataBuffer, { ...known, bytes: Math.max(known.bytes ?? 0, bytes ?? 0) || bytes });
      }
    }
    const isInline = kind === "constant" && program.inlineConstants.length > 0;
    const count = isInline ? program.inlineConstants.length : (table?.offsets.length ?? 0);
    const segmentBytes = program.segments[table?.segment ?? 0]?.size ?? 0;
    for (const [index, { bytes }] of users) {
      const end = (table?.offsets[index] ?? 0) + (bytes ?? 0);
      if (index >= count) faults.push(`a tensor has the ${kind} data ${index} of ${count}`);
      else if (!isInline && end > segmentBytes)
        faults.push(`the ${kind} data ${index} ends at ${end} of the ${segmentBytes} bytes of its segment`);
    }
    return (isInline ? [] : (table?.offsets ?? [])).flatMap((offset, index) =>
      // The first entry stands for no data.
      index === 0
        ? []
        : [{ index, kind, segment: table!.segment, offset, bytes: null, tensors: [], ...users.get(index) }],
    );
  });
  refuse(at, faults);
  return found;
}

const tensorsOf = ({ values }: ProgramMethod): readonly (readonly [number, TensorTable])[] =>
  values.flatMap((value, index) => (value.type === "Tensor" ? [[index, value] as const] : []));

function refuse(at: string, faults: readonly string[]): void {
  if (faults.length > 0) throw new BitnetcError(faults.map((fault) => diagnostics.programCorrupt(at, fault)));
}
