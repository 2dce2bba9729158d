import { Builder, type Offset } from "flatbuffers";
import { bytesOf } from "../tensor/hex.ts";
import * as et from "./generated/write/executorch-flatbuffer.ts";
import { programIdentifier } from "./header.ts";
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

/**
 * The flatbuffer of a program file, without the extended header. Its size depends on the numbers of segments
 * and not on their offsets, and grows with every segment.
 */
export function encodeProgram(program: ProgramTables): Uint8Array {
  const b = new Builder(4096);
  const methods = program.methods.map((method) => encodeMethod(b, method));
  const mutableSegments = program.mutableSegments.map((table) => encodeSubsegments(b, table));
  const constantSegment = program.constantSegment && encodeSubsegments(b, program.constantSegment);
  const keys = program.namedData.map(({ key }) => b.createString(key));
  b.forceDefaults(true);
  const segments = program.segments.map(({ offset, size }) =>
    et.DataSegment.createDataSegment(b, BigInt(offset), BigInt(size)),
  );
  const namedData = program.namedData.map(({ segment }, i) =>
    et.NamedData.createNamedData(b, keys[i]!, segment),
  );
  b.forceDefaults(false);

  const methodVector = et.Program.createExecutionPlanVector(b, methods);
  const segmentVector = et.Program.createSegmentsVector(b, segments);
  const mutableVector = vectorUnlessEmpty(mutableSegments, et.Program.createMutableDataSegmentsVector, b);
  const namedVector = vectorUnlessEmpty(namedData, et.Program.createNamedDataVector, b);
  et.Program.startProgram(b);
  et.Program.addVersion(b, program.version);
  et.Program.addExecutionPlan(b, methodVector);
  et.Program.addSegments(b, segmentVector);
  if (constantSegment !== undefined) et.Program.addConstantSegment(b, constantSegment);
  et.Program.addMutableDataSegments(b, mutableVector);
  et.Program.addNamedData(b, namedVector);
  b.finish(et.Program.endProgram(b), programIdentifier);
  return b.asUint8Array();
}

/** The offset 0 stands for a field that is absent. */
const absent: Offset = 0;
const vectorUnlessEmpty = (
  items: Offset[],
  create: (b: Builder, items: Offset[]) => Offset,
  b: Builder,
): Offset => (items.length === 0 ? absent : create(b, items));

const enumNumber = <E extends object>(members: E, member: EnumMember<E>): number =>
  typeof member === "number" ? member : (members[member] as number);

function encodeSubsegments(b: Builder, { segment, offsets }: SubsegmentTable): Offset {
  const vector = et.SubsegmentOffsets.createOffsetsVector(b, offsets.map(BigInt));
  return et.SubsegmentOffsets.createSubsegmentOffsets(b, segment, vector);
}

function encodeMethod(b: Builder, method: ProgramMethod): Offset {
  const { ExecutionPlan } = et;
  const name = b.createString(method.name);
  const containers =
    method.containers &&
    et.ContainerMetadata.createContainerMetadata(
      b,
      b.createString(method.containers.inputs),
      b.createString(method.containers.outputs),
    );
  const values = ExecutionPlan.createValuesVector(
    b,
    method.values.map((value) =>
      et.EValue.createEValue(b, et.KernelTypes[value.type], encodeValue(b, value)),
    ),
  );
  const inputs = ExecutionPlan.createInputsVector(b, [...method.inputs]);
  const outputs = ExecutionPlan.createOutputsVector(b, [...method.outputs]);
  const chains = ExecutionPlan.createChainsVector(
    b,
    method.chains.map((chain) => encodeChain(b, chain)),
  );
  const operators = ExecutionPlan.createOperatorsVector(
    b,
    method.operators.map((op) =>
      et.Operator.createOperator(b, b.createString(op.name), b.createString(op.overload)),
    ),
  );
  const delegates = ExecutionPlan.createDelegatesVector(
    b,
    method.delegates.map((delegate) => encodeDelegate(b, delegate)),
  );
  const bufferSizes = ExecutionPlan.createNonConstBufferSizesVector(b, method.bufferSizes.map(BigInt));
  const bufferDevices = vectorUnlessEmpty(
    method.bufferDevices.map(({ buffer, device, deviceIndex }) =>
      et.NonConstBufferDevice.createNonConstBufferDevice(
        b,
        buffer,
        enumNumber(et.DeviceType, device),
        deviceIndex,
      ),
    ),
    ExecutionPlan.createNonConstBufferDeviceVector,
    b,
  );
  ExecutionPlan.startExecutionPlan(b);
  ExecutionPlan.addName(b, name);
  if (containers !== undefined) ExecutionPlan.addContainerMetaType(b, containers);
  ExecutionPlan.addValues(b, values);
  ExecutionPlan.addInputs(b, inputs);
  ExecutionPlan.addOutputs(b, outputs);
  ExecutionPlan.addChains(b, chains);
  ExecutionPlan.addOperators(b, operators);
  ExecutionPlan.addDelegates(b, delegates);
  ExecutionPlan.addNonConstBufferSizes(b, bufferSizes);
  ExecutionPlan.addNonConstBufferDevice(b, bufferDevices);
  return ExecutionPlan.endExecutionPlan(b);
}

function encodeValue(b: Builder, value: ProgramValue): Offset {
  switch (value.type) {
    case "Null":
      et.Null.startNull(b);
      return et.Null.endNull(b);
    case "Int":
      return et.Int.createInt(b, BigInt(value.value));
    case "Bool":
      return et.Bool.createBool(b, value.value);
    case "Double": {
      b.forceDefaults(true); // -0 equals the default 0
      const table = et.Double.createDouble(b, Number(value.value));
      b.forceDefaults(false);
      return table;
    }
    case "String":
      return et.String.createString(b, b.createString(value.value));
    case "Tensor":
      return encodeTensor(b, value);
    case "IntList":
      return et.IntList.createIntList(b, et.IntList.createItemsVector(b, value.items.map(BigInt)));
    case "DoubleList":
      return et.DoubleList.createDoubleList(b, et.DoubleList.createItemsVector(b, value.items.map(Number)));
    case "BoolList":
      return et.BoolList.createBoolList(b, et.BoolList.createItemsVector(b, [...value.items]));
    case "TensorList":
      return et.TensorList.createTensorList(b, et.TensorList.createItemsVector(b, [...value.items]));
    case "OptionalTensorList": {
      const items = et.OptionalTensorList.createItemsVector(b, [...value.items]);
      return et.OptionalTensorList.createOptionalTensorList(b, items);
    }
  }
}

function encodeTensor(b: Builder, tensor: TensorTable): Offset {
  const { Tensor } = et;
  const { allocation, extra } = tensor;
  const sizes = Tensor.createSizesVector(b, [...tensor.sizes]);
  const dimOrder = Tensor.createDimOrderVector(b, [...tensor.dimOrder]);
  const allocationInfo =
    allocation &&
    et.AllocationDetails.createAllocationDetails(
      b,
      allocation.memory,
      allocation.offset % 2 ** 32,
      Math.floor(allocation.offset / 2 ** 32),
    );
  const extraInfo =
    extra &&
    et.ExtraTensorInfo.createExtraTensorInfo(
      b,
      BigInt(extra.mutableSegment),
      b.createString(extra.name),
      enumNumber(et.TensorDataLocation, extra.location),
      enumNumber(et.DeviceType, extra.device),
      extra.deviceIndex,
    );
  Tensor.startTensor(b);
  Tensor.addScalarType(b, enumNumber(et.ScalarType, tensor.scalarType));
  Tensor.addStorageOffset(b, tensor.storageOffset);
  Tensor.addSizes(b, sizes);
  Tensor.addDimOrder(b, dimOrder);
  Tensor.addRequiresGrad(b, tensor.requiresGrad);
  Tensor.addDataBufferIdx(b, tensor.dataBuffer);
  if (allocationInfo !== undefined) Tensor.addAllocationInfo(b, allocationInfo);
  Tensor.addLayout(b, tensor.layout);
  Tensor.addShapeDynamism(b, enumNumber(et.TensorShapeDynamism, tensor.dynamism));
  if (extraInfo !== undefined) Tensor.addExtraTensorInfo(b, extraInfo);
  return Tensor.endTensor(b);
}

function encodeChain(b: Builder, chain: ProgramChain): Offset {
  const inputs = et.Chain.createInputsVector(b, [...chain.inputs]);
  const outputs = et.Chain.createOutputsVector(b, [...chain.outputs]);
  const instructions = et.Chain.createInstructionsVector(
    b,
    chain.instructions.map((instruction) => {
      const args = encodeInstruction(b, instruction);
      return et.Instruction.createInstruction(b, et.InstructionArguments[instruction.type], args);
    }),
  );
  const stacktrace = vectorUnlessEmpty(
    chain.stacktrace.map((frames) => encodeFrames(b, frames)),
    et.Chain.createStacktraceVector,
    b,
  );
  return et.Chain.createChain(b, inputs, outputs, instructions, stacktrace);
}

function encodeFrames(b: Builder, frames: readonly StackFrame[]): Offset {
  const items = frames.map(({ file, line, name, context }) =>
    et.Frame.createFrame(b, b.createString(file), line, b.createString(name), b.createString(context)),
  );
  return et.FrameList.createFrameList(b, et.FrameList.createItemsVector(b, items));
}

function encodeInstruction(b: Builder, instruction: ProgramInstruction): Offset {
  switch (instruction.type) {
    case "KernelCall": {
      const args = et.KernelCall.createArgsVector(b, [...instruction.args]);
      return et.KernelCall.createKernelCall(b, instruction.operator, args);
    }
    case "DelegateCall": {
      const args = et.DelegateCall.createArgsVector(b, [...instruction.args]);
      return et.DelegateCall.createDelegateCall(b, instruction.delegate, args);
    }
    case "MoveCall":
      return et.MoveCall.createMoveCall(b, instruction.from, instruction.to);
    case "JumpFalseCall":
      return et.JumpFalseCall.createJumpFalseCall(b, instruction.condition, instruction.destination);
    case "FreeCall":
      return et.FreeCall.createFreeCall(b, instruction.value);
  }
}

function encodeDelegate(b: Builder, { id, location, index, specs }: DelegateTable): Offset {
  const { BackendDelegate, BackendDelegateDataReference, CompileSpec } = et;
  const name = b.createString(id);
  const processed = BackendDelegateDataReference.createBackendDelegateDataReference(
    b,
    et.DataLocation[location],
    index,
  );
  const specVector = BackendDelegate.createCompileSpecsVector(
    b,
    specs.map(({ key, value }) =>
      CompileSpec.createCompileSpec(b, b.createString(key), CompileSpec.createValueVector(b, bytesOf(value))),
    ),
  );
  BackendDelegate.startBackendDelegate(b);
  BackendDelegate.addId(b, name);
  BackendDelegate.addProcessed(b, processed);
  BackendDelegate.addCompileSpecs(b, specVector);
  return BackendDelegate.endBackendDelegate(b);
}
