import { bytesToHex } from "@noble/hashes/utils.js";
import { decodeFlatbuffer, index, numbers, required, vector } from "./checked-buffer.ts";
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
    const program = et.Program.getRootAsProgram(buffer);
    const segmentCount = program.segmentsLength();
    const constantSegment = program.constantSegment();
    const mutableSegments = vector(program.mutableDataSegmentsLength(), (i) =>
      program.mutableDataSegments(i),
    );
    return {
      file: { name: source.name, size: source.size },
      header: header ?? null,
      version: program.version(),
      methods: vector(program.executionPlanLength(), (i) => program.executionPlan(i)).map((method) =>
        describeMethod(method, { SEGMENT: segmentCount, INLINE: program.backendDelegateDataLength() }),
      ),
      segments: vector(segmentCount, (i) => program.segments(i)).map((segment) => ({
        offset: sizeOf(segment.offset()),
        size: sizeOf(segment.size()),
      })),
      ...(constantSegment === null ? {} : { constantSegment: describeSubsegments(constantSegment) }),
      mutableSegments: mutableSegments.map(describeSubsegments),
      namedData: vector(program.namedDataLength(), (i) => program.namedData(i)).map((entry) => ({
        key: required(entry.key(), "the key of named data"),
        segment: index(entry.segmentIndex(), segmentCount, "segment"),
      })),
      inlineConstants: vector(program.constantBufferLength(), (i) => program.constantBuffer(i)).map(
        (buffer) => buffer.storageLength(),
      ),
      inlineDelegateData: vector(program.backendDelegateDataLength(), (i) =>
        program.backendDelegateData(i),
      ).map((data) => data.dataLength()),
    };
  });
}

/** The index of a segment is not checked: it means nothing where no tensor has data. */
const describeSubsegments = (table: et.SubsegmentOffsets): SubsegmentTable => ({
  segment: table.segmentIndex(),
  offsets: Array.from({ length: table.offsetsLength() }, (_, i) => sizeOf(table.offsets(i) ?? 0n)),
});

const enumName = <E extends object>(members: E, number: number): EnumMember<E> =>
  ((members as Readonly<Record<number, string>>)[number] as EnumMember<E> | undefined) ?? number;

/** A double as JSON can hold it. */
const jsonDouble = (value: number): number | string => (Number.isFinite(value) ? value : String(value));

function describeMethod(
  method: et.ExecutionPlan,
  dataCounts: Readonly<Record<DelegateTable["location"], number>>,
): ProgramMethod {
  const valueCount = method.valuesLength();
  const indices = (elements: ArrayLike<number> | null): number[] =>
    numbers(elements).map((value) => index(value, valueCount, "value"));
  const containers = method.containerMetaType();
  const operators = vector(method.operatorsLength(), (i) => method.operators(i));
  const delegates = vector(method.delegatesLength(), (i) => method.delegates(i));
  const counts = { value: valueCount, operator: operators.length, delegate: delegates.length };
  return {
    name: required(method.name(), "the name of a method"),
    ...(containers === null
      ? {}
      : {
          containers: { inputs: containers.encodedInpStr() ?? "", outputs: containers.encodedOutStr() ?? "" },
        }),
    values: vector(valueCount, (i) => method.values(i)).map((value) => describeValue(value, valueCount)),
    inputs: indices(method.inputsArray()),
    outputs: indices(method.outputsArray()),
    chains: vector(method.chainsLength(), (i) => method.chains(i)).map((chain) =>
      describeChain(chain, counts),
    ),
    operators: operators.map((op) => ({ name: op.name() ?? "", overload: op.overload() ?? "" })),
    delegates: delegates.map((delegate) => describeDelegate(delegate, dataCounts)),
    bufferSizes: Array.from({ length: method.nonConstBufferSizesLength() }, (_, i) =>
      sizeOf(BigInt.asUintN(64, method.nonConstBufferSizes(i) ?? 0n)),
    ),
    bufferDevices: vector(method.nonConstBufferDeviceLength(), (i) => method.nonConstBufferDevice(i)).map(
      (entry) => ({
        buffer: entry.bufferIdx(),
        device: enumName(et.DeviceType, entry.deviceType()),
        deviceIndex: entry.deviceIndex(),
      }),
    ),
  };
}

function describeValue(value: et.EValue, valueCount: number): ProgramValue {
  const kind = et.KernelTypes[value.valType()] as keyof typeof et.KernelTypes | undefined;
  const table = <T>(empty: T): T => required(value.val(empty) as T | null, "a value");
  const items = (elements: ArrayLike<number> | null, none?: number): number[] =>
    numbers(elements).map((item) => (item === none ? item : index(item, valueCount, "value")));
  switch (kind) {
    case "Null":
      return { type: kind };
    case "Int": {
      const int = table(new et.Int()).intVal();
      const number = Number(int);
      return { type: kind, value: Number.isSafeInteger(number) ? number : String(int) };
    }
    case "Bool":
      return { type: kind, value: table(new et.Bool()).boolVal() };
    case "Double":
      return { type: kind, value: jsonDouble(table(new et.Double()).doubleVal()) };
    case "String":
      return { type: kind, value: table(new et.String()).stringVal() ?? "" };
    case "Tensor":
      return { type: kind, ...describeTensor(table(new et.Tensor())) };
    case "IntList": {
      const list = table(new et.IntList());
      return {
        type: kind,
        items: items(Array.from({ length: list.itemsLength() }, (_, i) => Number(list.items(i)))),
      };
    }
    case "DoubleList":
      return { type: kind, items: numbers(table(new et.DoubleList()).itemsArray()).map(jsonDouble) };
    case "BoolList": {
      const list = table(new et.BoolList());
      return {
        type: kind,
        items: Array.from({ length: list.itemsLength() }, (_, i) => list.items(i) === true),
      };
    }
    case "TensorList":
      return { type: kind, items: items(table(new et.TensorList()).itemsArray()) };
    case "OptionalTensorList":
      return { type: kind, items: items(table(new et.OptionalTensorList()).itemsArray(), -1) };
    default:
      throw new RangeError(`it has a value of the unknown type ${value.valType()}`);
  }
}

function describeTensor(tensor: et.Tensor): TensorTable {
  const allocation = tensor.allocationInfo();
  const extra = tensor.extraTensorInfo();
  return {
    scalarType: enumName(et.ScalarType, tensor.scalarType()),
    sizes: numbers(tensor.sizesArray()),
    dimOrder: numbers(tensor.dimOrderArray()),
    dynamism: enumName(et.TensorShapeDynamism, tensor.shapeDynamism()),
    dataBuffer: tensor.dataBufferIdx(),
    storageOffset: tensor.storageOffset(),
    requiresGrad: tensor.requiresGrad(),
    layout: tensor.layout(),
    ...(allocation === null
      ? {}
      : {
          allocation: {
            memory: allocation.memoryId(),
            offset: allocation.memoryOffsetHigh() * 2 ** 32 + allocation.memoryOffsetLow(),
          },
        }),
    ...(extra === null
      ? {}
      : {
          extra: {
            name: extra.fullyQualifiedName() ?? "",
            mutableSegment: sizeOf(extra.mutableDataSegmentsIdx()),
            location: enumName(et.TensorDataLocation, extra.location()),
            device: enumName(et.DeviceType, extra.deviceType()),
            deviceIndex: extra.deviceIndex(),
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
  const indices = (elements: ArrayLike<number> | null): number[] =>
    numbers(elements).map((value) => index(value, counts.value, "value"));
  return {
    inputs: indices(chain.inputsArray()),
    outputs: indices(chain.outputsArray()),
    instructions: vector(chain.instructionsLength(), (i) => chain.instructions(i)).map((instruction) =>
      describeInstruction(instruction, counts, indices),
    ),
    stacktrace: vector(chain.stacktraceLength(), (i) => chain.stacktrace(i)).map((list) =>
      vector(list.itemsLength(), (i) => list.items(i)).map(describeFrame),
    ),
  };
}

const describeFrame = (frame: et.Frame): StackFrame => ({
  file: frame.filename() ?? "",
  line: frame.lineno(),
  name: frame.name() ?? "",
  context: frame.context() ?? "",
});

function describeInstruction(
  instruction: et.Instruction,
  counts: Counts,
  indices: (elements: ArrayLike<number> | null) => number[],
): ProgramInstruction {
  const kind = et.InstructionArguments[instruction.instrArgsType()] as
    | keyof typeof et.InstructionArguments
    | undefined;
  const table = <T>(empty: T): T =>
    required(instruction.instrArgs(empty) as T | null, "an instruction's arguments");
  const value = (at: number): number => index(at, counts.value, "value");
  switch (kind) {
    case "KernelCall": {
      const call = table(new et.KernelCall());
      const operator = index(call.opIndex(), counts.operator, "operator");
      return { type: kind, operator, args: indices(call.argsArray()) };
    }
    case "DelegateCall": {
      const call = table(new et.DelegateCall());
      const delegate = index(call.delegateIndex(), counts.delegate, "delegate");
      return { type: kind, delegate, args: indices(call.argsArray()) };
    }
    case "MoveCall": {
      const call = table(new et.MoveCall());
      return { type: kind, from: value(call.moveFrom()), to: value(call.moveTo()) };
    }
    case "JumpFalseCall": {
      const call = table(new et.JumpFalseCall());
      return {
        type: kind,
        condition: value(call.condValueIndex()),
        destination: call.destinationInstruction(),
      };
    }
    case "FreeCall":
      return { type: kind, value: value(table(new et.FreeCall()).valueIndex()) };
    default:
      throw new RangeError(`it has an instruction of the unknown type ${instruction.instrArgsType()}`);
  }
}

function describeDelegate(
  delegate: et.BackendDelegate,
  dataCounts: Readonly<Record<DelegateTable["location"], number>>,
): DelegateTable {
  const reference = required(delegate.processed(), "the place of a delegate");
  const location = reference.location() === et.DataLocation.INLINE ? "INLINE" : "SEGMENT";
  return {
    id: required(delegate.id(), "the name of a delegate"),
    location,
    index: index(reference.index(), dataCounts[location], location === "INLINE" ? "inline data" : "segment"),
    specs: vector(delegate.compileSpecsLength(), (i) => delegate.compileSpecs(i)).map((spec) => ({
      key: required(spec.key(), "the key of a compile spec"),
      value: bytesToHex(required(spec.valueArray(), "the value of a compile spec")),
    })),
  };
}
