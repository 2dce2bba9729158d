import { type Dim, isSymbolic, maxOf } from "../tensor/dim.ts";
import type { DType } from "../tensor/dtype.ts";
import type { DelegateTable, ProgramChain, ProgramMethod, ProgramValue, TensorTable } from "./program.ts";

/** A tensor that a method takes or gives. */
export interface TensorMeta {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly Dim[];
}

/** What a constant method returns. A number is an integer; `{ float: 0.5 }` is not; a list is several outputs. */
export type ConstantValue = number | boolean | string | readonly number[] | { readonly float: number };

/** ExecuTorch's names of element types. */
export const scalarTypes: { readonly [D in DType]?: TensorTable["scalarType"] } = {
  f64: "DOUBLE",
  f32: "FLOAT",
  f16: "HALF",
  bf16: "BFLOAT16",
  i64: "LONG",
  i32: "INT",
  i16: "SHORT",
  i8: "CHAR",
  u64: "UINT64",
  u32: "UINT32",
  u16: "UINT16",
  u8: "BYTE",
  bool: "BOOL",
};

/** A method that hands its inputs to one delegate and returns what that gives. */
export function delegateMethod(
  name: string,
  inputs: readonly TensorMeta[],
  outputs: readonly TensorMeta[],
  delegate: DelegateTable,
): ProgramMethod {
  const values = [...inputs, ...outputs].map((tensor) => tensorValue(tensor));
  const args = [...values.keys()];
  const inputIndices = args.slice(0, inputs.length);
  const outputIndices = args.slice(inputs.length);
  return {
    name,
    containers: containersOf(inputs.length, outputs.length),
    values,
    inputs: inputIndices,
    outputs: outputIndices,
    chains: [{ ...emptyChain, instructions: [{ type: "DelegateCall", delegate: 0, args }] }],
    operators: [],
    delegates: [delegate],
    bufferSizes: [0],
    bufferDevices: [],
  };
}

/** A method without instructions whose outputs are constants. */
export function constantMethod(name: string, value: ConstantValue): ProgramMethod {
  const isList = Array.isArray(value);
  const values = isList
    ? value.map(constantValue)
    : [constantValue(value as Exclude<ConstantValue, readonly number[]>)];
  return {
    name,
    containers: { inputs: "", outputs: isList ? sequence("L", values.length) : leaf },
    values,
    inputs: [],
    outputs: [...values.keys()],
    chains: [emptyChain],
    operators: [],
    delegates: [],
    bufferSizes: [0],
    bufferDevices: [],
  };
}

const emptyChain: ProgramChain = { inputs: [], outputs: [], instructions: [], stacktrace: [] };

/** A pytree's leaf, and a list (L) or tuple (T) of leaves: the kind, then how many leaves each child has. */
const leaf = "$";
const sequence = (kind: "L" | "T", length: number): string =>
  `${kind}${length}${"#1".repeat(length)}(${Array(length).fill(leaf).join(",")})`;

/** How a method's inputs, positional ones and no others, and its outputs nest. */
export const containersOf = (inputs: number, outputs: number): NonNullable<ProgramMethod["containers"]> => ({
  inputs: `T2#${inputs}#0(${sequence("T", inputs)},D0())`,
  outputs: outputs === 1 ? leaf : sequence("T", outputs),
});

/** A dense tensor. Where no place is planned for it, its memory is the caller's. */
export function tensorValue(
  { name, dtype, shape }: Omit<TensorMeta, "name"> & { readonly name: string | undefined },
  place: Pick<TensorTable, "allocation"> & Partial<Pick<TensorTable, "dataBuffer">> = {},
): ProgramValue {
  const scalarType = scalarTypes[dtype];
  if (scalarType === undefined) throw new Error(`ExecuTorch has no tensors of ${dtype}`);
  return {
    type: "Tensor",
    scalarType,
    sizes: shape.map(maxOf),
    dimOrder: [...shape.keys()],
    dynamism: shape.some(isSymbolic) ? "DYNAMIC_BOUND" : "STATIC",
    dataBuffer: 0,
    storageOffset: 0,
    requiresGrad: false,
    layout: 0,
    ...place,
    ...(name !== undefined && {
      extra: { name, mutableSegment: 0, location: "SEGMENT", device: "CPU", deviceIndex: 0 },
    }),
  };
}

function constantValue(value: number | boolean | string | { readonly float: number }): ProgramValue {
  if (typeof value === "boolean") return { type: "Bool", value };
  if (typeof value === "string") return { type: "String", value };
  if (typeof value === "object") return { type: "Double", value: value.float };
  if (!Number.isSafeInteger(value))
    throw new Error(`a constant method returns ${value}, which is no integer`);
  return { type: "Int", value };
}
