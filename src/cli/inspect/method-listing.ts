import type {
  ProgramInstruction,
  ProgramMethod,
  ProgramValue,
  TensorTable,
} from "../../serialize/program.ts";
import { LineWriter, type ListedLine, type Listing } from "./listing.ts";

/** The values and the instructions of a method; those of several chains one after the other. */
export function listMethod(method: ProgramMethod): Listing {
  const written = writtenValues(method);
  const { values } = method;
  const describe = (index: number): string => describeValue(values[index]!);
  const roles = new Map<number, string[]>();
  const addRole = (index: number, role: string) => roles.set(index, [...(roles.get(index) ?? []), role]);
  method.inputs.forEach((value, i) => {
    addRole(value, `input ${i}`);
  });
  method.outputs.forEach((value, i) => {
    addRole(value, `output ${i}`);
  });
  const valueLine = (value: ProgramValue, index: number): ListedLine => {
    const line = new LineWriter(describe).note(`%${index} = `).add(`${value.type} `);
    if (isIndexList(value)) {
      line.add("[").list(value.items, (item) => (item < 0 ? line.add("none") : line.value(item)));
      line.add("]");
    } else line.add(describe(index));
    for (const role of roles.get(index) ?? []) line.add(`, ${role}`);
    if (value.type === "Tensor") line.note(placeText(value));
    return line.line();
  };
  /** A value that nothing writes is its contents. */
  const addArgument = (line: LineWriter, index: number): void => {
    const value = values[index]!;
    if (isIndexList(value)) {
      line.add("[").list(value.items, (item) => {
        if (item < 0) line.add("none");
        else addArgument(line, item);
      });
      line.add("]");
    } else if (value.type === "Tensor" || written.has(index)) line.value(index);
    else line.add(describe(index));
  };
  return {
    inputs: method.inputs,
    values: values.map(valueLine),
    calls: method.chains.flatMap(({ instructions }) =>
      instructions.map((instruction) =>
        instructionLine(method, instruction, new LineWriter(describe), addArgument),
      ),
    ),
  };
}

function instructionLine(
  { operators, delegates }: ProgramMethod,
  instruction: ProgramInstruction,
  line: LineWriter,
  addArgument: (line: LineWriter, index: number) => void,
): ListedLine {
  const call = (name: string, args: readonly number[]): ListedLine => {
    line.add(`${name}(`).list(args, (arg) => addArgument(line, arg));
    return line.add(")").line(name);
  };
  switch (instruction.type) {
    case "KernelCall":
      return call(operatorName(operators[instruction.operator]!), instruction.args);
    case "DelegateCall":
      line.note(`delegate ${instruction.delegate} `);
      return call(delegates[instruction.delegate]!.id, instruction.args);
    case "MoveCall":
      return line.add("move ").value(instruction.from).add(" to ").value(instruction.to).line("move");
    case "JumpFalseCall":
      return line
        .add("jump ")
        .note(`to ${instruction.destination} `)
        .add("unless ")
        .value(instruction.condition)
        .line("jump");
    case "FreeCall":
      return line.add("free ").value(instruction.value).line("free");
  }
}

export const operatorName = ({ name, overload }: ProgramMethod["operators"][number]): string =>
  overload === "" ? name : `${name}.${overload}`;

type IndexList = Extract<ProgramValue, { readonly type: "IntList" | "TensorList" | "OptionalTensorList" }>;

const isIndexList = (value: ProgramValue): value is IndexList =>
  value.type === "IntList" || value.type === "TensorList" || value.type === "OptionalTensorList";

/** Scalars that instructions may write: results of kernels, which stand last, and what is moved to. */
function writtenValues({ chains }: ProgramMethod): ReadonlySet<number> {
  return new Set(
    chains
      .flatMap(({ instructions }) => instructions)
      .flatMap((instruction) => {
        if (instruction.type === "KernelCall") return instruction.args.slice(-1);
        return instruction.type === "MoveCall" ? [instruction.to] : [];
      }),
  );
}

function describeValue(value: ProgramValue): string {
  switch (value.type) {
    case "Null":
      return "null";
    case "Int":
    case "Bool":
      return String(value.value);
    case "Double":
      return Object.is(value.value, -0) ? "-0.0" : String(value.value).replace(/^-?\d+$/, "$&.0");
    case "String":
      return JSON.stringify(value.value);
    case "Tensor":
      return tensorText(value);
    default:
      return `[${value.items.join(", ")}]`;
  }
}

/** `tokens: long [1, <=64]` */
export function tensorText({ scalarType, sizes, dynamism, extra, dimOrder, ...tensor }: TensorTable): string {
  const bound = dynamism === "STATIC" ? "" : "<=";
  const shape = sizes.map((size) => (size === 1 ? size : `${bound}${size}`)).join(", ");
  const order = dimOrder.every((dim, i) => dim === i) ? "" : ` ordered [${dimOrder.join(", ")}]`;
  const notes = [
    ...(dynamism === "DYNAMIC_UNBOUND" ? ["unbound"] : []),
    ...(tensor.requiresGrad ? ["requires grad"] : []),
    ...(tensor.storageOffset === 0 ? [] : [`storage offset ${tensor.storageOffset}`]),
    ...(extra === undefined || extra.location === "SEGMENT" ? [] : [String(extra.location).toLowerCase()]),
    ...(extra === undefined || extra.device === "CPU" ? [] : [`${extra.device} ${extra.deviceIndex}`]),
  ].map((note) => `, ${note}`);
  const label = extra?.name ? `${extra.name}: ` : "";
  return `${label}${String(scalarType).toLowerCase()} [${shape}]${order}${notes.join("")}`;
}

/** Where a tensor's memory and its initial contents are. */
function placeText({ allocation, dataBuffer }: TensorTable): string {
  const place = allocation === undefined ? "" : `, buffer ${allocation.memory} at ${allocation.offset}`;
  if (dataBuffer === 0) return place;
  return `${place}, ${allocation === undefined ? "constant" : "initially"} ${dataBuffer}`;
}
