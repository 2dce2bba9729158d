import type { ProgramValue } from "../../../serialize/program.ts";
import type { Tensor } from "../../../tensor/tensor.ts";
import type { TensorCell } from "./tensor-cell.ts";

/** What a value of a method holds as the method runs. A list of ints or tensors holds the indices of its items. */
export type Content = TensorCell | number | boolean | string | null | readonly (number | boolean)[];

/** The values of a method: their declarations, and what they hold. */
export interface Values {
  readonly declared: readonly ProgramValue[];
  readonly contents: Content[];
}

/** A kind of argument, as operators' schemas tell them apart. */
export interface Kind<T> {
  readonly name: string;
  accepts(value: ProgramValue, declared: readonly ProgramValue[]): boolean;
  read(values: Values, at: number): T;
}

type ValueType = ProgramValue["type"];

const plain = <T extends Content>(name: string, ...types: readonly ValueType[]): Kind<T> => ({
  name,
  accepts: ({ type }) => types.includes(type),
  read: ({ contents }, at) => contents[at] as T,
});

export const cell = plain<TensorCell>("a tensor", "Tensor");
export const int = plain<number>("an int", "Int");
export const scalar = plain<number>("a number", "Int", "Double");
export const double = plain<number>("a double", "Double");
export const bool = plain<boolean>("a bool", "Bool");
/** A bool that kernels refuse when it is true. */
export const no: Kind<boolean> = {
  ...bool,
  name: "false",
  accepts: (value) => value.type === "Bool" && !value.value,
};
/** A memory format: none other than that of dense tensors. */
export const denseFormat: Kind<number | null> = {
  ...plain<number | null>("the dense memory format"),
  accepts: (value) => value.type === "Null" || (value.type === "Int" && Number(value.value) === 0),
};
export const text = plain<string>("a string", "String");

export const tensor: Kind<Tensor> = {
  ...cell,
  read: (values, at) => cell.read(values, at).tensor,
};

export const optional = <T>(kind: Kind<T>): Kind<T | null> => ({
  name: `${kind.name} or none`,
  accepts: (value, declared) => value.type === "Null" || kind.accepts(value, declared),
  read: (values, at) => (values.contents[at] === null ? null : kind.read(values, at)),
});

const listOf = <T>(
  name: string,
  type: "IntList" | "TensorList" | "OptionalTensorList",
  item: Kind<T>,
): Kind<T[]> => ({
  name,
  accepts: (value, declared) =>
    value.type === type && value.items.every((at) => at < 0 || item.accepts(declared[at]!, declared)),
  read: (values, at) => (values.contents[at] as readonly number[]).map((at) => item.read(values, at)),
});

export const ints = listOf("a list of ints", "IntList", int);
export const tensors = listOf("a list of tensors", "TensorList", tensor);
/** -1 is none. */
const optionalItem: Kind<Tensor | null> = {
  ...tensor,
  read: (values, at) => (at < 0 ? null : tensor.read(values, at)),
};
export const optionalTensors = listOf("a list of optional tensors", "OptionalTensorList", optionalItem);
