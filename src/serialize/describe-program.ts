import { hexOf } from "../tensor/hex.ts";
import { decodeFlatbuffer, index, required } from "./checked-buffer.ts";
import * as et from "./generated/read/executorch-flatbuffer.ts";
import { type ExtendedHeader, sizeOf } from "./header.ts";
import type {
  DelegateTable,
  EnumMember,
  ProgramChain,
  ProgramInstruction,
  ProgramMethod,
  ProgramTables,
  ProgramValue,
  StackFrame,
  SubsegmentTable,
  TensorTable,
} from "./program.ts";
import type { ProgramFile } from "./program-reader.ts";
import { type Field, rootOf } from "./table.ts";

/** Everything that the head of a program file says, as data that JSON can hold. */
export interface ProgramDescription extends ProgramTables {
  readonly file: { readonly name: string; readonly size: number };
  readonly header: ExtendedHeader | null;
  /** Bytes of each constant and of each delegate's data that lies in the flatbuffer, not in a segment. */
  readonly inlineConstants: readonly number[];
  readonly inlineDelegateData: readonly number[];
}

/**
 * Decodes the whole flatbuffer of a program, whoever wrote it, and checks that every index in it leads somewhere.
 * @throws BitnetcError `program-corrupt`
 */
export function describeProgram({ source, head, header }: ProgramFile): ProgramDescription {
  return decodeFlatbuffer(source.name, head, (buffer) => {
    const program = rootOf(buffer, et.Program);
    const segmentCount = program.segments.length;
    const constantSegment = program.constantSegment;
    const mutableSegments = program.mutableDataSegments;
    return {
      file: { name: source.name, size: source.size },
      header: header ?? null,
      version: program.version,
      methods: program.executionPlan.map((method) =>
        describeMethod(method, { SEGMENT: segmentCount, INLINE: program.backendDelegateData.length }),
      ),
      segments: program.segments.map((segment) => ({
        offset: sizeOf(segment.offset),
        size: sizeOf(segment.size),
      })),
      ...(constantSegment === null ? {} : { constantSegment: describeSubsegments(constantSegment) }),
      mutableSegments: mutableSegments.map(describeSubsegments),
      namedData: program.namedData.map((entry) => ({
        key: required(entry.key, "the key of named data"),
        segment: index(entry.segmentIndex, segmentCount, "segment"),
      })),
      inlineConstants: program.constantBuffer.map((buffer) => buffer.storage?.length ?? 0),
      inlineDelegateData: program.backendDelegateData.map((data) => data.data?.length ?? 0),
    };
  });
}

/** The index of a segment is not checked: it means nothing where no tensor has data. */
const describeSubsegments = (table: et.SubsegmentOffsets): SubsegmentTable => ({
  segment: table.segmentIndex,
  offsets: (table.offsets ?? []).map(sizeOf),
});

const enumName = <E extends object>(members: E, number: number): EnumMember<E> =>
  ((members as Readonly<Record<number, string>>)[number] as EnumMember<E> | undefined) ?? number;

/** A double as JSON can hold it. */
const jsonDouble = (value: number): number | string => (Number.isFinite(value) ? value : String(value));

function describeMethod(
  method: et.ExecutionPlan,
  dataCounts: Readonly<Record<DelegateTable["location"], number>>,
): ProgramMethod {
  const valueCount = method.values.length;
  const indices = (elements: readonly number[] | null): number[] =>
    (elements ?? []).map((value) => index(value, valueCount, "value"));
  const containers = method.containerMetaType;
  const operators = method.operators;
  const delegates = method.delegates;
  const counts = { value: valueCount, operator: operators.length, delegate: delegates.length };
  return {
    name: required(method.name, "the name of a method"),
    ...(containers === null
      ? {}
      : {
          containers: { inputs: containers.encodedInpStr ?? "", outputs: containers.encodedOutStr ?? "" },
        }),
    values: method.values.map((value) => describeValue(value, valueCount)),
    inputs: indices(method.inputs),
    outputs: indices(method.outputs),
    chains: method.chains.map((chain) => describeChain(chain, counts)),
    operators: operators.map((op) => ({ name: op.name ?? "", overload: op.overload ?? "" })),
    delegates: delegates.map((delegate) => describeDelegate(delegate, dataCounts)),
    bufferSizes: (method.nonConstBufferSizes ?? []).map((size) => sizeOf(BigInt.asUintN(64, size))),
    bufferDevices: method.nonConstBufferDevice.map((entry) => ({
      buffer: entry.bufferIdx,
      device: enumName(et.DeviceType, entry.deviceType),
      deviceIndex: entry.deviceIndex,
    })),
  };
}

function describeValue(value: et.EValue, valueCount: number): ProgramValue {
  const kind = et.KernelTypes[value.valType] as keyof typeof et.KernelTypes | undefined;
  const table = <T>(field: Field<T | null>): T => required(value.val(field), "a value");
  const items = (elements: readonly number[] | null, none?: number): number[] =>
    (elements ?? []).map((item) => (item === none ? item : index(item, valueCount, "value")));
  switch (kind) {
    case "Null":
      return { type: kind };
    case "Int": {
      const int = table(et.Int).intVal;
      const number = Number(int);
      return { type: kind, value: Number.isSafeInteger(number) ? number : String(int) };
    }
    case "Bool":
      return { type: kind, value: table(et.Bool).boolVal };
    case "Double":
      return { type: kind, value: jsonDouble(table(et.Double).doubleVal) };
    case "String":
      return { type: kind, value: table(et.String).stringVal ?? "" };
    case "Tensor":
      return { type: kind, ...describeTensor(table(et.Tensor)) };
    case "IntList":
      return { type: kind, items: items((table(et.IntList).items ?? []).map(Number)) };
    case "DoubleList":
      return { type: kind, items: (table(et.DoubleList).items ?? []).map(jsonDouble) };
    case "BoolList":
      return { type: kind, items: table(et.BoolList).items ?? [] };
    case "TensorList":
      return { type: kind, items: items(table(et.TensorList).items) };
    case "OptionalTensorList":
      return { type: kind, items: items(table(et.OptionalTensorList).items, -1) };
    default:
      throw new RangeError(`it has a value of the unknown type ${value.valType}`);
  }
}

function describeTensor(tensor: et.Tensor): TensorTable {
  const allocation = tensor.allocationInfo;
  const extra = tensor.extraTensorInfo;
  return {
    scalarType: enumName(et.ScalarType, tensor.scalarType),
    sizes: tensor.sizes ?? [],
    dimOrder: [...(tensor.dimOrder ?? [])],
    dynamism: enumName(et.TensorShapeDynamism, tensor.shapeDynamism),
    dataBuffer: tensor.dataBufferIdx,
    storageOffset: tensor.storageOffset,
    requiresGrad: tensor.requiresGrad,
    layout: tensor.layout,
    ...(allocation === null
      ? {}
      : {
          allocation: {
            memory: allocation.memoryId,
            offset: allocation.memoryOffsetHigh * 2 ** 32 + allocation.memoryOffsetLow,
          },
        }),
    ...(extra === null
      ? {}
      : {
          extra: {
            name: extra.fullyQualifiedName ?? "",
            mutableSegment: sizeOf(extra.mutableDataSegmentsIdx),
            location: enumName(et.TensorDataLocation, extra.location),
            device: enumName(et.DeviceType, extra.deviceType),
            deviceIndex: extra.deviceIndex,
          },
        }),
  };
}

interface Counts {
  readonly value: number;
  readonly operator: number;
  readonly delegate: number;
}

function describeChain(chain: et.Chain, counts: Counts): ProgramChain {
  const indices = (elements: readonly number[] | null): number[] =>
    (elements ?? []).map((value) => index(value, counts.value, "value"));
  return {
    inputs: indices(chain.inputs),
    outputs: indices(chain.outputs),
    instructions: chain.instructions.map((instruction) => describeInstruction(instruction, counts, indices)),
    stacktrace: chain.stacktrace.map((list) => list.items.map(describeFrame)),
  };
}

const describeFrame = (frame: et.Frame): StackFrame => ({
  file: frame.filename ?? "",
  line: frame.lineno,
  name: frame.name ?? "",
  context: frame.context ?? "",
});

function describeInstruction(
  instruction: et.Instruction,
  counts: Counts,
  indices: (elements: readonly number[] | null) => number[],
): ProgramInstruction {
  const kind = et.InstructionArguments[instruction.instrArgsType] as
    | keyof typeof et.InstructionArguments
    | undefined;
  const table = <T>(field: Field<T | null>): T =>
    required(instruction.instrArgs(field), "an instruction's arguments");
  const value = (at: number): number => index(at, counts.value, "value");
  switch (kind) {
    case "KernelCall": {
      const call = table(et.KernelCall);
      const operator = index(call.opIndex, counts.operator, "operator");
      return { type: kind, operator, args: indices(call.args) };
    }
    case "DelegateCall": {
      const call = table(et.DelegateCall);
      const delegate = index(call.delegateIndex, counts.delegate, "delegate");
      return { type: kind, delegate, args: indices(call.args) };
    }
    case "MoveCall": {
      const call = table(et.MoveCall);
      return { type: kind, from: value(call.moveFrom), to: value(call.moveTo) };
    }
    case "JumpFalseCall": {
      const call = table(et.JumpFalseCall);
      return {
        type: kind,
        condition: value(call.condValueIndex),
        destination: call.destinationInstruction,
      };
    }
    case "FreeCall":
      return { type: kind, value: value(table(et.FreeCall).valueIndex) };
    default:
      throw new RangeError(`it has an instruction of the unknown type ${instruction.instrArgsType}`);
  }
}

function describeDelegate(
  delegate: et.BackendDelegate,
  dataCounts: Readonly<Record<DelegateTable["location"], number>>,
): DelegateTable {
  const reference = required(delegate.processed, "the place of a delegate");
  const location = reference.location === et.DataLocation.INLINE ? "INLINE" : "SEGMENT";
  return {
    id: required(delegate.id, "the name of a delegate"),
    location,
    index: index(reference.index, dataCounts[location], location === "INLINE" ? "inline data" : "segment"),
    specs: delegate.compileSpecs.map((spec) => ({
      key: required(spec.key, "the key of a compile spec"),
      value: hexOf(required(spec.value, "the value of a compile spec")),
    })),
  };
}
