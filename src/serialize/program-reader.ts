import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import { byteRange, type Source } from "../tensor/source.ts";
import type { Segment } from "./blob.ts";
import { decodeFlatbuffer, element, refuseCorrupt, required } from "./checked-buffer.ts";
import * as et from "./generated/read/executorch-flatbuffer.ts";
import {
  type ExtendedHeader,
  identifierOf,
  leadSize,
  programIdentifier,
  readHeader,
  sizeOf,
} from "./header.ts";
import { rootOf } from "./table.ts";

/** A program file, with what is needed to run it. `describeProgram` tells everything else. */
export interface ProgramFile {
  readonly source: Source;
  /** All of the file in front of the segments. */
  readonly front: Uint8Array;
  /** The flatbuffer with its header, which `front` begins with. */
  readonly head: Uint8Array;
  /** Absent in a file without segments. */
  readonly header: ExtendedHeader | undefined;
  readonly segments: readonly Segment[];
  readonly namedData: ReadonlyMap<string, Segment>;
  /** Those of all methods, in the file's order. */
  readonly delegates: readonly ProgramDelegate[];
  /** What methods without instructions return. */
  readonly constants: ReadonlyMap<string, ConstantResult>;
}

export interface ProgramDelegate {
  readonly method: string;
  /** The backend that runs it. */
  readonly id: string;
  readonly specs: ReadonlyMap<string, Uint8Array>;
  readonly data: Segment;
}

/** A list when the method returns several values, or a list of one. */
export type ConstantResult = ConstantScalar | readonly ConstantScalar[];
type ConstantScalar = number | boolean | string;

/**
 * Reads the head of a program file: any that ExecuTorch can read, whoever wrote it.
 * @throws BitnetcError `program-truncated`, `program-identifier` or `program-corrupt`
 */
export async function readProgram(source: Source): Promise<ProgramFile> {
  const lead = await readFully(source, 0, Math.min(leadSize, source.size), leadSize);
  const identifier = identifierOf(lead);
  if (lead.length >= 8 && identifier !== programIdentifier)
    throw new BitnetcError(diagnostics.programIdentifier(source.name, identifier));
  if (lead.length < leadSize) throw truncated(source, leadSize);
  const header = refuseCorrupt(source.name, () => readHeader(lead));
  if (header !== undefined) checkHeader(source, header);
  const { programSize = source.size, segmentBase = 0 } = header ?? {};
  const front = await readFully(source, 0, Math.max(programSize, segmentBase));
  const head = front.subarray(0, programSize);
  return decodeFlatbuffer(source.name, head, (buffer) => {
    const program = rootOf(buffer, et.Program);
    const segments = readSegments(source, header, program);
    const methods = program.executionPlan;
    return {
      source,
      front,
      head,
      header,
      segments,
      namedData: readNamedData(program, segments),
      delegates: methods.flatMap((method) => readDelegates(source, front, program, method, segments)),
      constants: readConstants(methods),
    };
  });
}

const truncated = (source: Source, need: number): BitnetcError =>
  new BitnetcError(diagnostics.programTruncated(source.name, need, source.size));

async function readFully(source: Source, from: number, to: number, need = to): Promise<Uint8Array> {
  const bytes = await source.read(from, to);
  if (bytes.length < to - from)
    throw new BitnetcError(diagnostics.programTruncated(source.name, need, bytes.length));
  return bytes;
}

function checkHeader(
  source: Source,
  { programSize, segmentBase, segmentDataSize = 0 }: ExtendedHeader,
): void {
  const end = Math.max(programSize, segmentBase + segmentDataSize);
  if (end > source.size) throw truncated(source, end);
  if (programSize < leadSize - 24 || (segmentBase !== 0 && segmentBase < programSize))
    throw corrupt(source, `its header says that ${programSize} bytes precede its segments at ${segmentBase}`);
}

const corrupt = (source: Source, detail: string): BitnetcError =>
  new BitnetcError(diagnostics.programCorrupt(source.name, detail));

function readSegments(
  source: Source,
  header: ExtendedHeader | undefined,
  program: et.Program,
): readonly Segment[] {
  // Without a header there is no data, but there may be empty segments.
  const { segmentBase, segmentDataSize } = header ?? { segmentBase: 0, segmentDataSize: 0 };
  const places = program.segments.map((segment) => {
    const offset = sizeOf(segment.offset);
    const size = sizeOf(segment.size);
    const end = offset + size;
    if (segmentDataSize !== undefined && end > segmentDataSize)
      throw new RangeError(`a segment ends at ${end} of ${segmentDataSize} bytes`);
    if (segmentBase + end > source.size) throw truncated(source, segmentBase + end);
    return { offset, size, end };
  });
  // A segment may lie within another: what follows it up to the first of those that end later is padding.
  const fromLast = [...places].sort((a, b) => b.end - a.end || a.offset - b.offset);
  let next = fromLast[0]?.end ?? 0;
  const paddings = new Map<object, number>();
  for (const place of fromLast) {
    paddings.set(place, Math.max(0, next - place.end));
    next = Math.min(next, place.offset);
  }
  return places.map((place) => ({
    ...byteRange(source, segmentBase + place.offset, place.size),
    padding: paddings.get(place)!,
  }));
}

function readNamedData(program: et.Program, segments: readonly Segment[]): ReadonlyMap<string, Segment> {
  const byKey = new Map<string, Segment>();
  for (const entry of program.namedData) {
    const key = required(entry.key, "the key of named data");
    if (byKey.has(key)) throw new RangeError(`two blobs have the key ${key}`);
    byKey.set(key, element(segments, entry.segmentIndex, "segment"));
  }
  return byKey;
}

function readDelegates(
  source: Source,
  front: Uint8Array,
  program: et.Program,
  method: et.ExecutionPlan,
  segments: readonly Segment[],
): ProgramDelegate[] {
  return method.delegates.map(({ id, processed, compileSpecs }) => {
    const { location, index } = required(processed, "the place of a delegate");
    return {
      method: methodName(method),
      id: required(id, "the name of a delegate"),
      specs: new Map(
        compileSpecs.map(({ key, value }) => [
          required(key, "the key of a compile spec"),
          required(value, "the value of a compile spec"),
        ]),
      ),
      data:
        location === et.DataLocation.INLINE
          ? inlineRange(source, front, program, index)
          : element(segments, index, "segment"),
    };
  });
}

/** A delegate's data within the flatbuffer, as a range of the file. */
function inlineRange(source: Source, front: Uint8Array, program: et.Program, at: number): Segment {
  const data = required(element(program.backendDelegateData, at, "inline data").data, "inline data");
  return { ...byteRange(source, data.byteOffset - front.byteOffset, data.length), padding: 0 };
}

const methodName = (method: et.ExecutionPlan): string => required(method.name, "the name of a method");

function readConstants(methods: readonly et.ExecutionPlan[]): ReadonlyMap<string, ConstantResult> {
  const results = new Map<string, ConstantResult>();
  for (const method of methods) {
    const result = constantResult(method);
    if (result !== undefined) results.set(methodName(method), result);
  }
  return results;
}

/** @returns undefined for a method that computes, or returns a tensor */
function constantResult(method: et.ExecutionPlan): ConstantResult | undefined {
  if (method.inputs?.length || method.chains.some(({ instructions }) => instructions.length > 0))
    return undefined;
  const outputs = (method.outputs ?? []).map((at) => constantScalar(element(method.values, at, "value")));
  if (!outputs.every((output) => output !== undefined)) return undefined;
  const structure = method.containerMetaType?.encodedOutStr ?? "";
  return outputs.length !== 1 || containerPattern.test(structure) ? outputs : outputs[0];
}

/** A list or tuple in either notation of pytrees that ExecuTorch has used: `L1#1($)`, or JSON. */
const containerPattern = /^([LT]|\[\d+, \{"type": ")/;

function constantScalar({ valType, val }: et.EValue): ConstantScalar | undefined {
  switch (valType) {
    case et.KernelTypes.Int:
      return Number(val(et.Int)?.intVal ?? 0);
    case et.KernelTypes.Bool:
      return val(et.Bool)?.boolVal ?? false;
    case et.KernelTypes.Double:
      return val(et.Double)?.doubleVal ?? 0;
    case et.KernelTypes.String:
      return required(val(et.String)?.stringVal, "a string");
    default:
      return undefined;
  }
}
