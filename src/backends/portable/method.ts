import type { WeightRef } from "../../ir/weights.ts";
import { rowSize } from "../../ir/weights.ts";
import { containersOf, tensorValue } from "../../serialize/methods.ts";
import type { ProgramInstruction, ProgramMethod, ProgramValue } from "../../serialize/program.ts";
import { alignUp } from "../../tensor/align.ts";
import { byteLength } from "../../tensor/tensor.ts";
import { inPlaceOps, intOps, manyTensorOps, schemas } from "./aten.ts";
import { type MemoryPlan, planMemory, tensorAlignment } from "./memory.ts";
import type { Int, PortableCall, PortableGraph, PortableTensor } from "./value.ts";

/** A constant in the order of a program's constant segment. */
export interface PlacedConstant {
  readonly weight: WeightRef;
  readonly offset: number;
  readonly size: number;
}

export interface PortableMethod {
  readonly method: ProgramMethod;
  readonly constants: readonly PlacedConstant[];
  /** By the number of a tensor's data, of which 0 is reserved. */
  readonly constantOffsets: readonly number[];
}

/**
 * Numbers the values of a method's calls, and gives its memory and its constants their places.
 * @param delegates those that its calls name by their place
 */
export function toMethod(
  name: string,
  graph: PortableGraph,
  delegates: ProgramMethod["delegates"] = [],
): PortableMethod {
  const values = new Values(planMemory(graph));
  const inputs = graph.inputs.map((tensor) => values.tensor(tensor));
  for (const state of graph.states) values.tensor(state);
  const outputNames = new Map(graph.outputs.map(({ id }, i) => [id, graph.outputNames[i]!]));
  for (const output of graph.outputs) values.tensor({ ...output, name: outputNames.get(output.id)! });
  const operators: { name: string; overload: string }[] = [];
  const operatorNumbers = new Map<string, number>();
  const instructions = graph.calls.map((call): ProgramInstruction => {
    if (!("op" in call)) {
      const args = [...call.inputs, ...call.outputs].map((tensor) => values.tensor(tensor));
      return { type: "DelegateCall", delegate: call.delegate, args };
    }
    let operator = operatorNumbers.get(call.op);
    if (operator === undefined) {
      const [name, overload = ""] = call.op.split(".") as [string, string?];
      operator = operators.push({ name, overload }) - 1;
      operatorNumbers.set(call.op, operator);
    }
    return { type: "KernelCall", operator, args: values.call(call) };
  });
  return {
    method: {
      name,
      containers: containersOf(inputs.length, graph.outputs.length),
      values: values.all,
      inputs,
      outputs: graph.outputs.map((output) => values.tensor(output)),
      chains: [{ inputs: [], outputs: [], instructions, stacktrace: [] }],
      operators,
      delegates,
      bufferSizes: values.plan.bufferSizes,
      bufferDevices: [],
    },
    constants: values.constants,
    constantOffsets: values.constantOffsets,
  };
}

/** The values of a method, each once. */
class Values {
  readonly all: ProgramValue[] = [];
  readonly constants: PlacedConstant[] = [];
  readonly constantOffsets: number[] = [0];
  readonly plan: MemoryPlan;
  readonly #numbers = new Map<string, number>();
  readonly #data = new Map<string, number>();
  #constantBytes = 0;

  constructor(plan: MemoryPlan) {
    this.plan = plan;
  }

  /** A call's arguments: those of the schema, the outs, and the result, which is the out or a list of them. */
  call({ op, args, results }: PortableCall): readonly number[] {
    const kinds = Object.values(schemas[op]);
    const numbers = args.map((arg, i) => this.#arg(kinds[i]!, arg));
    const outs = results.map((each) =>
      each.kind === "tensor" ? this.tensor(each) : this.#computed(each.id),
    );
    if (op in inPlaceOps || op in intOps) return [...numbers, ...outs];
    return [...numbers, ...outs, op in manyTensorOps ? this.#list("TensorList", outs) : outs[0]!];
  }

  tensor(tensor: PortableTensor): number {
    return this.#once(`tensor ${tensor.id}`, () => this.#describe(tensor));
  }

  #computed(id: number): number {
    return this.#once(`computed ${id}`, () => ({ type: "Int", value: 0 }));
  }

  #int(int: Int): number {
    if (typeof int !== "number") return this.#computed(int.id);
    return this.#once(`int ${int}`, () => ({ type: "Int", value: int }));
  }

  #list(type: "IntList" | "TensorList" | "OptionalTensorList", items: readonly number[]): number {
    return this.#once(`${type} ${items.join()}`, () => ({ type, items }));
  }

  #arg(kind: string, arg: PortableCall["args"][number]): number {
    if (arg === undefined) return this.#once("null", () => ({ type: "Null" }));
    if (typeof arg === "boolean") return this.#once(`bool ${arg}`, () => ({ type: "Bool", value: arg }));
    if (typeof arg === "string") return this.#once(`string ${arg}`, () => ({ type: "String", value: arg }));
    if (typeof arg === "number") return this.#int(arg);
    if (isArray(arg)) {
      const items = arg.map((item) => (item === undefined ? -1 : this.#arg(kind, item)));
      return this.#list(
        kind === "ints" ? "IntList" : kind === "tensors" ? "TensorList" : "OptionalTensorList",
        items,
      );
    }
    if ("double" in arg) {
      const value = Number.isFinite(arg.double) ? arg.double : String(arg.double);
      return this.#once(`double ${Object.is(value, -0) ? "-0" : value}`, () => ({ type: "Double", value }));
    }
    return arg.kind === "tensor" ? this.tensor(arg) : this.#computed(arg.id);
  }

  /** Elements of lists come before the lists. */
  #once(key: string, make: () => ProgramValue): number {
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.all.push(make()) - 1;
      this.#numbers.set(key, number);
    }
    return number;
  }

  #describe(tensor: PortableTensor): ProgramValue {
    const { dtype, shape, storage, name } = tensor;
    const allocation = this.plan.place(tensor);
    return tensorValue(
      { name, dtype, shape },
      {
        ...(allocation && { allocation }),
        ...(storage.kind === "constant" && {
          dataBuffer: this.#constantData(storage.weight, storage.firstRow),
        }),
      },
    );
  }

  /** The number of a constant's data from a row on. A part of a constant lies within it. */
  #constantData(weight: WeightRef, firstRow: number): number {
    const whole = this.#offset(weight);
    const offset = whole + byteLength(weight.dtype, firstRow * rowSize(weight));
    const key = `${offset} of ${weight.id}`;
    let number = this.#data.get(key);
    if (number === undefined) {
      number = this.constantOffsets.push(offset) - 1;
      this.#data.set(key, number);
    }
    return number;
  }

  readonly #offsets = new Map<string, number>();
  #offset(weight: WeightRef): number {
    const known = this.#offsets.get(weight.id);
    if (known !== undefined) return known;
    const offset = this.#constantBytes;
    const size = byteLength(
      weight.dtype,
      weight.shape.reduce((n, length) => n * length, 1),
    );
    this.#offsets.set(weight.id, offset);
    this.constants.push({ weight, offset, size });
    this.#constantBytes = alignUp(offset + size, tensorAlignment);
    return offset;
  }
}

const isArray = (arg: unknown): arg is readonly (Int | PortableTensor | undefined)[] => Array.isArray(arg);
