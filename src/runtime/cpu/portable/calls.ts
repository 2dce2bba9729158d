import type { ProgramInstruction, ProgramMethod, ProgramValue } from "../../../serialize/program.ts";
import { byteLength, elementCount } from "../../../tensor/tensor.ts";
import type { TensorLayout } from "./layout.ts";
import type { Operator } from "./operator.ts";
import { operators } from "./operators/index.ts";

/** A call that is as its operator's schema says. */
export interface Call {
  readonly name: string;
  readonly operator: Operator;
  readonly args: readonly number[];
  /** Where in the model it comes from, or in the program. */
  readonly source: string;
}

/** What is wrong with the calls of a method. */
export interface CallFaults {
  /** Operators that there are no kernels for, and where the first call of each is. */
  readonly missing: ReadonlyMap<string, string>;
  /** Half sentences. */
  readonly malformed: readonly string[];
}

/** The calls among a method's instructions, each by its instruction. */
export type Calls = ReadonlyMap<ProgramInstruction, Call>;

/** Resolves every call of a method. */
export function resolveCalls(
  method: ProgramMethod,
  layouts: ReadonlyMap<number, TensorLayout>,
): { readonly calls: Calls; readonly faults: CallFaults } {
  const calls = new Map<ProgramInstruction, Call>();
  const missing = new Map<string, string>();
  const malformed: string[] = [];
  method.chains.forEach(({ instructions, stacktrace }, c) => {
    instructions.forEach((instruction, i) => {
      const place = `instruction ${i}${method.chains.length > 1 ? ` of chain ${c}` : ""} of ${method.name}`;
      const fault = controlFault(instruction, instructions.length, method.values);
      if (fault !== undefined) malformed.push(`${place} ${fault}`);
      if (instruction.type !== "KernelCall") return;
      const { name: base, overload } = method.operators[instruction.operator]!;
      const name = overload === "" ? base : `${base}.${overload}`;
      const source = stacktrace[i]?.[0]?.name || place;
      const operator = operators.get(name);
      if (operator === undefined) {
        if (!missing.has(name)) missing.set(name, source);
        return;
      }
      const callFault = faultOf(operator, instruction.args, method.values, layouts);
      if (callFault === undefined) calls.set(instruction, { name, operator, args: instruction.args, source });
      else malformed.push(`${place} calls ${name} with ${callFault}`);
    });
  });
  return { calls, faults: { missing, malformed } };
}

/** What is wrong with an instruction that is no call. */
function controlFault(
  instruction: ProgramInstruction,
  count: number,
  declared: readonly ProgramValue[],
): string | undefined {
  if (instruction.type === "MoveCall") {
    const [from, to] = [declared[instruction.from]!, declared[instruction.to]!];
    if (from.type !== to.type) return `moves ${from.type} to ${to.type}`;
  }
  if (instruction.type === "JumpFalseCall") {
    const condition = declared[instruction.condition]!;
    const isBool = condition.type === "Tensor" ? condition.scalarType === "BOOL" : condition.type === "Bool";
    if (!isBool) return "jumps on what is no bool";
    if (!(instruction.destination >= 0 && instruction.destination <= count))
      return `jumps to ${instruction.destination} of ${count}`;
  }
  return undefined;
}

/** As ExecuTorch's runtime checks a call: by the number and the types of the arguments. */
function faultOf(
  { params, writes, repeatsResult, inPlace }: Operator,
  args: readonly number[],
  declared: readonly ProgramValue[],
  layouts: ReadonlyMap<number, TensorLayout>,
): string | undefined {
  const count = params.length + (repeatsResult ? 1 : 0);
  if (args.length !== count) return `${args.length} arguments in place of ${count}`;
  for (const [i, kind] of params.entries()) {
    const value = declared[args[i]!]!;
    if (!kind.accepts(value, declared))
      return `${kind.name} expected as argument ${i}, where ${value.type} is`;
  }
  const last = declared[args.at(-1)!]!;
  const repeats =
    repeatsResult === "list"
      ? last.type === "TensorList" && last.items.join() === writes.map((at) => args[at]!).join()
      : !repeatsResult || args.at(-1) === args[writes[0]!];
  if (!repeats) return "a last argument that is not its result";
  for (const written of writes) {
    const target = layouts.get(args[written]!)!;
    if (target.data !== undefined && target.place === undefined) return `a constant as argument ${written}`;
    for (const [i, arg] of args.slice(0, params.length).entries()) {
      const others = i === written ? [] : tensorsIn(arg, declared).map((at) => layouts.get(at)!);
      if (others.some((other) => overlap(target, other) && !(inPlace && areOne(target, other))))
        return `argument ${written} written over argument ${i}`;
    }
  }
  return undefined;
}

/** The tensors that an argument holds. */
export function tensorsIn(at: number, declared: readonly ProgramValue[]): readonly number[] {
  const value = declared[at]!;
  if (value.type === "Tensor") return [at];
  if (value.type === "TensorList" || value.type === "OptionalTensorList")
    return value.items.filter((item) => item >= 0);
  return [];
}

function overlap(a: TensorLayout, b: TensorLayout): boolean {
  if (a.place === undefined || b.place === undefined || a.place.memory !== b.place.memory) return false;
  return a.place.offset < b.place.offset + sizeOf(b) && b.place.offset < a.place.offset + sizeOf(a);
}

const areOne = (a: TensorLayout, b: TensorLayout): boolean =>
  a.place!.offset === b.place!.offset && a.dtype === b.dtype && a.shape.join() === b.shape.join();

/** In bytes, of the largest shape. */
export const sizeOf = ({ dtype, shape }: TensorLayout): number => byteLength(dtype, elementCount(shape));
