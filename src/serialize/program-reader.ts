import { BitnetcError, diagnostics } from "../errors.ts";
import { type ByteRange, byteRange, type Source } from "../tensor/source.ts";
import { decodeFlatbuffer, index, refuseCorrupt, required, vector } from "./checked-buffer.ts";
import * as et from "./generated/read/executorch-flatbuffer.ts";
import {
  type ExtendedHeader,
  identifierOf,
  leadSize,
  programIdentifier,
  readHeader,
  sizeOf,
} from "./header.ts";

/** A program file, with what is needed to run it. `describeProgram` tells everything else. */
export interface ProgramFile {
  readonly source: Source;
  /** The flatbuffer with its header: all of the file but the segments. */
  readonly head: Uint8Array;
  /** Absent in a file without segments. */
  readonly header: ExtendedHeader | undefined;
  readonly segments: readonly ByteRange[];
  readonly namedData: ReadonlyMap<string, ByteRange>;
  /** Those of all methods, in the file's order. */
  readonly delegates: readonly ProgramDelegate[];
  /** What methods without instructions return. */
  readonly constants: ReadonlyMap<string, ConstantResult>;
}

interface ProgramDelegate {
  readonly method: string;
  /** The backend that runs it. */
  readonly id: string;
  readonly specs: ReadonlyMap<string, Uint8Array>;
  readonly data: ByteRange;
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
  const head = await readFully(source, 0, header?.programSize ?? source.size);
  return decodeFlatbuffer(source.name, head, (buffer) => {
    const program = et.Program.getRootAsProgram(buffer);
    const segments = vector(program.segmentsLength(), (i) => program.segments(i)).map((segment) =>
      segmentRange(source, header, segment),
    );
    const methods = vector(program.executionPlanLength(), (i) => program.executionPlan(i));
    return {
      source,
      head,
      header,
      segments,
      namedData: readNamedData(program, segments),
      delegates: methods.flatMap((method) => readDelegates(source, program, method, segments)),
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

function segmentRange(
  source: Source,
  header: ExtendedHeader | undefined,
  segment: et.DataSegment,
): ByteRange {
  const end = sizeOf(segment.offset()) + sizeOf(segment.size());
  // Without a header there is no data, but there may be empty segments.
  const { segmentBase, segmentDataSize = end } = header ?? { segmentBase: 0, segmentDataSize: 0 };
  if (end > segmentDataSize) throw new RangeError(`a segment ends at ${end} of ${segmentDataSize} bytes`);
  if (segmentBase + end > source.size) throw truncated(source, segmentBase + end);
  return byteRange(source, segmentBase + sizeOf(segment.offset()), sizeOf(segment.size()));
}

function readNamedData(program: et.Program, segments: readonly ByteRange[]): ReadonlyMap<string, ByteRange> {
  const byKey = new Map<string, ByteRange>();
  for (const entry of vector(program.namedDataLength(), (i) => program.namedData(i))) {
    const key = required(entry.key(), "the key of named data");
    if (byKey.has(key)) throw new RangeError(`two blobs have the key ${key}`);
    byKey.set(key, segments[index(entry.segmentIndex(), segments.length, "segment")]!);
  }
  return byKey;
}

function readDelegates(
  source: Source,
  program: et.Program,
  method: et.ExecutionPlan,
  segments: readonly ByteRange[],
): ProgramDelegate[] {
  return vector(method.delegatesLength(), (i) => method.delegates(i)).map((delegate) => {
    const reference = required(delegate.processed(), "the place of a delegate");
    const inline = reference.location() === et.DataLocation.INLINE;
    const specs = vector(delegate.compileSpecsLength(), (i) => delegate.compileSpecs(i));
    return {
      method: methodName(method),
      id: required(delegate.id(), "the name of a delegate"),
      specs: new Map(
        specs.map((spec) => [
          required(spec.key(), "the key of a compile spec"),
          required(spec.valueArray(), "the value of a compile spec"),
        ]),
      ),
      data: inline
        ? inlineRange(source, program, reference.index())
        : segments[index(reference.index(), segments.length, "segment")]!,
    };
  });
}

/** A delegate's data within the flatbuffer, as a range of the file. */
function inlineRange(source: Source, program: et.Program, at: number): ByteRange {
  index(at, program.backendDelegateDataLength(), "inline data");
  const data = required(program.backendDelegateData(at)?.dataArray() ?? null, "inline data");
  return byteRange(source, data.byteOffset, data.length);
}

const methodName = (method: et.ExecutionPlan): string => required(method.name(), "the name of a method");

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
  const chains = vector(method.chainsLength(), (i) => method.chains(i));
  if (method.inputsLength() > 0 || chains.some((chain) => chain.instructionsLength() > 0)) return undefined;
  const outputs = Array.from(method.outputsArray() ?? [], (output) => {
    const value = method.values(index(output, method.valuesLength(), "value"));
    return constantScalar(required(value, "a value"));
  });
  if (!outputs.every((output) => output !== undefined)) return undefined;
  const structure = method.containerMetaType()?.encodedOutStr() ?? "";
  return outputs.length !== 1 || containerPattern.test(structure) ? outputs : outputs[0];
}

/** A list or tuple in either notation of pytrees that ExecuTorch has used: `L1#1($)`, or JSON. */
const containerPattern = /^([LT]|\[\d+, \{"type": ")/;

function constantScalar(value: et.EValue): ConstantScalar | undefined {
  switch (value.valType()) {
    case et.KernelTypes.Int:
      return Number((value.val(new et.Int()) as et.Int | null)?.intVal() ?? 0);
    case et.KernelTypes.Bool:
      return (value.val(new et.Bool()) as et.Bool | null)?.boolVal() ?? false;
    case et.KernelTypes.Double:
      return (value.val(new et.Double()) as et.Double | null)?.doubleVal() ?? 0;
    case et.KernelTypes.String:
      return required((value.val(new et.String()) as et.String | null)?.stringVal() ?? null, "a string");
    default:
      return undefined;
  }
}
