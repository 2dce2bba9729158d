import { insertHeader } from "../../src/serialize/header.ts";
import { type ConstantValue, constantMethod, scalarTypes } from "../../src/serialize/methods.ts";
import type {
  ProgramInstruction,
  ProgramMethod,
  ProgramTables,
  ProgramValue,
} from "../../src/serialize/program.ts";
import { encodeProgram } from "../../src/serialize/program-encoder.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { byteLength, elementCount, encodeElements, type Tensor } from "../../src/tensor/tensor.ts";

interface PlannedOptions {
  readonly name?: string;
  readonly isDynamic?: boolean;
  /** Where it lies; behind all that was planned in the buffer, unless given. */
  readonly memory?: number;
  readonly offset?: number;
  readonly initial?: Tensor;
}

const alignment = 16;
const align = (size: number) => Math.ceil(size / alignment) * alignment;

/** Bytes one after the other, each at a multiple of 16, with an entry in front that is reserved. */
class Subsegment {
  readonly offsets = [0];
  readonly parts: Uint8Array[] = [];
  size = 0;

  add({ dtype, data }: Tensor): number {
    const bytes = encodeElements(dtype, data);
    this.offsets.push(this.size);
    this.parts.push(bytes);
    this.size = align(this.size + bytes.length);
    return this.offsets.length - 1;
  }

  get bytes(): Uint8Array {
    const joined = new Uint8Array(this.size);
    this.parts.forEach((part, i) => {
      joined.set(part, this.offsets[i + 1]!);
    });
    return joined;
  }
}

/** Writes programs without delegates by hand: each method gives the index of the value that it adds. */
export class PortableProgram {
  readonly values: ProgramValue[] = [];
  readonly instructions: ProgramInstruction[] = [];
  readonly operators: { name: string; overload: string }[] = [];
  readonly bufferSizes = [0, 0, 0];
  readonly #constants = new Subsegment();
  readonly #initial = new Subsegment();

  add(value: ProgramValue): number {
    return this.values.push(value) - 1;
  }
  none = (): number => this.add({ type: "Null" });
  int = (value: number): number => this.add({ type: "Int", value });
  double = (value: number): number =>
    this.add({ type: "Double", value: Number.isFinite(value) ? value : String(value) });
  bool = (value: boolean): number => this.add({ type: "Bool", value });
  text = (value: string): number => this.add({ type: "String", value });
  ints = (...items: number[]): number => this.add({ type: "IntList", items: items.map(this.int) });
  /** Of values that are there. */
  list = (type: "IntList" | "TensorList" | "OptionalTensorList", ...items: number[]): number =>
    this.add({ type, items });

  constant = (tensor: Tensor): number =>
    this.#tensor(tensor.dtype, tensor.shape, { dataBuffer: this.#constants.add(tensor) });

  planned(dtype: DType, shape: readonly number[], options: PlannedOptions = {}): number {
    const { memory = 1, offset = this.bufferSizes[memory]!, initial, name, isDynamic = false } = options;
    const end = align(offset + byteLength(dtype, elementCount(shape)));
    this.bufferSizes[memory] = Math.max(this.bufferSizes[memory]!, end);
    return this.#tensor(dtype, shape, {
      dynamism: isDynamic ? "DYNAMIC_BOUND" : "STATIC",
      dataBuffer: initial === undefined ? 0 : this.#initial.add(initial),
      allocation: { memory, offset },
      ...(name !== undefined && {
        extra: { name, mutableSegment: 0, location: "SEGMENT", device: "CPU", deviceIndex: 0 },
      }),
    });
  }

  unplanned = (dtype: DType, shape: readonly number[]): number => this.#tensor(dtype, shape, {});

  #tensor(dtype: DType, shape: readonly number[], more: Partial<ProgramValue & { type: "Tensor" }>): number {
    return this.add({
      type: "Tensor",
      scalarType: scalarTypes[dtype]!,
      sizes: shape,
      dimOrder: [...shape.keys()],
      dynamism: "STATIC",
      dataBuffer: 0,
      storageOffset: 0,
      requiresGrad: false,
      layout: 0,
      ...more,
    });
  }

  /** @param args all of them, with the result where it is repeated */
  call(operator: string, ...args: number[]): void {
    const [name, overload = ""] = operator.split(".") as [string, string?];
    const known = this.operators.findIndex((each) => each.name === name && each.overload === overload);
    const index = known >= 0 ? known : this.operators.push({ name, overload }) - 1;
    this.instructions.push({ type: "KernelCall", operator: index, args });
  }

  /** An out-variant: the result is written last. */
  out(operator: string, ...args: number[]): void {
    this.call(operator, ...args, args.at(-1)!);
  }

  build(
    inputs: readonly number[],
    outputs: readonly number[],
    {
      constantMethods = {},
      namedData = {},
      change = (tables) => tables,
    }: {
      readonly constantMethods?: Readonly<Record<string, ConstantValue>>;
      readonly namedData?: Readonly<Record<string, Uint8Array>>;
      readonly change?: (tables: ProgramTables) => ProgramTables;
    } = {},
  ): Uint8Array<ArrayBuffer> {
    const forward: ProgramMethod = {
      name: "forward",
      values: this.values,
      inputs,
      outputs,
      chains: [{ inputs: [], outputs: [], instructions: this.instructions, stacktrace: [] }],
      operators: this.operators,
      delegates: [],
      bufferSizes: this.bufferSizes,
      bufferDevices: [],
    };
    const data = [this.#constants.bytes, this.#initial.bytes, ...Object.values(namedData)];
    let end = 0;
    const segments = data.map(({ length }) => {
      const offset = Math.ceil(end / 128) * 128;
      end = offset + length;
      return { offset, size: length };
    });
    const tables: ProgramTables = {
      version: 0,
      methods: [
        forward,
        ...Object.entries(constantMethods).map(([name, value]) => constantMethod(name, value)),
      ],
      segments,
      constantSegment: { segment: 0, offsets: this.#constants.offsets },
      mutableSegments: [{ segment: 1, offsets: this.#initial.offsets }],
      namedData: Object.keys(namedData).map((key, i) => ({ key, segment: i + 2 })),
    };
    const flatbuffer = encodeProgram(change(tables));
    const base = Math.ceil((flatbuffer.length + 32) / 128) * 128;
    const file = new Uint8Array(base + end);
    file.set(insertHeader(flatbuffer, base, end));
    data.forEach((bytes, i) => {
      file.set(bytes, base + segments[i]!.offset);
    });
    return file;
  }
}
