import type { DType } from "../../src/tensor/dtype.ts";
import { bytesSource, type Source } from "../../src/tensor/source.ts";
import { elementCount, encodeElements, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import {
  type AttributeFields,
  attribute,
  type GraphFields,
  graphAttribute,
  modelBytes,
  node,
  onnx,
  rawTensor,
  tensorAttribute,
  value,
} from "../onnx/build-model.ts";

/** Numbers of `TensorProto.DataType`. */
export const dataTypes = {
  f32: 1,
  u8: 2,
  i8: 3,
  i32: 6,
  i64: 7,
  bool: 9,
  f16: 10,
  f64: 11,
  bf16: 16,
  u4: 21,
  i4: 22,
  u2: 25,
  i2: 26,
} as const satisfies Partial<Record<DType, number>>;
type OnnxDType = keyof typeof dataTypes;

/** An argument: the name of a value, a constant to be written, or nothing. */
export type Argument = string | Tensor | undefined;
/** `float` keeps a whole number from becoming an INT. */
export type AttributeValue =
  | number
  | string
  | readonly number[]
  | Tensor
  | GraphFields
  | { readonly float: number };
type Size = number | string;

/** i64 [n] */
export const ints = (...values: number[]): Tensor => tensor("i64", [values.length], values);
/** i64 scalar */
export const int = (value: number): Tensor => tensor("i64", [], [value]);
/** f32 scalar */
export const float = (value: number): Tensor => tensor("f32", [], [value]);

export interface OnnxWriterOptions {
  readonly opset: number;
  /** Versions of other domains. */
  readonly domains?: Readonly<Record<string, number>>;
  /** TorchScript writes small constants as nodes, others as initializers. */
  readonly constantNodes?: boolean;
}

/** Writes an ONNX model node by node, naming values as it goes. */
export class OnnxWriter {
  readonly opset: number;
  readonly #options: OnnxWriterOptions;
  readonly #graph = {
    input: [] as NonNullable<GraphFields["input"]>,
    output: [] as NonNullable<GraphFields["output"]>,
    initializer: [] as NonNullable<GraphFields["initializer"]>,
    node: [] as NonNullable<GraphFields["node"]>,
  };
  /** Initializers are written once for each tensor object. */
  readonly #names = new Map<Tensor, string>();
  #values = 0;

  constructor(options: OnnxWriterOptions) {
    this.opset = options.opset;
    this.#options = options;
  }

  input(name: string, dtype: OnnxDType, shape: readonly Size[]): string {
    this.#graph.input.push(value(name, dataTypes[dtype], shape));
    return name;
  }

  /** Makes a value an output, under a name of its own. */
  output(name: string, from: string, dtype: OnnxDType, shape: readonly Size[]): void {
    this.#graph.node.push(node("Identity", [from], [name]));
    this.#graph.output.push(value(name, dataTypes[dtype], shape));
  }

  initializer(data: Tensor): string {
    const known = this.#names.get(data);
    if (known !== undefined) return known;
    const name = `weight_${this.#names.size}`;
    this.#names.set(data, name);
    this.#graph.initializer.push(tensorFields(name, data));
    return name;
  }

  constant(data: Tensor): string {
    if (this.#options.constantNodes !== true || elementCount(data.shape) > 16) return this.initializer(data);
    return this.op("Constant", [], { value: data });
  }

  /** Adds a node; returns the name of its first output. */
  op(
    type: string,
    inputs: readonly Argument[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): string {
    return this.outputs(type, inputs, 1, attributes)[0]!;
  }

  /** Adds a node with several outputs. A type may carry its domain: `com.microsoft::FusedMatMul`. */
  outputs(
    type: string,
    inputs: readonly Argument[],
    count: number,
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): readonly string[] {
    const [domain, opType] = type.includes("::") ? (type.split("::") as [string, string]) : ["", type];
    const outputs = Array.from({ length: count }, () => `val_${this.#values++}`);
    const names = inputs.map((input) =>
      input === undefined ? "" : typeof input === "string" ? input : this.constant(input),
    );
    const fields = Object.entries(attributes).map(([name, given]) => attributeFields(name, given));
    this.#graph.node.push(node(opType, names, [...outputs], fields, domain === "" ? {} : { domain }));
    return outputs;
  }

  /** The graph alone, as the branch of an If. */
  get graph(): GraphFields {
    return { name: "graph", ...this.#graph };
  }

  get bytes(): Uint8Array {
    const { opset, domains = {} } = this.#options;
    return modelBytes({
      graph: this.graph,
      opsets: { "": opset, ...domains },
      irVersion: opset > 20 ? 10 : 8,
    });
  }

  get source(): Source {
    return bytesSource("model.onnx", this.bytes);
  }
}

const tensorFields = (name: string, { dtype, shape, data }: Tensor) =>
  rawTensor(name, dataTypes[dtype as OnnxDType], [...shape], encodeElements(dtype, data));

function attributeFields(name: string, given: AttributeValue): AttributeFields {
  if (typeof given !== "object" || Array.isArray(given))
    return attribute(name, given as number | string | readonly number[]);
  if ("float" in given) return { name, type: onnx.AttributeProto.AttributeType.FLOAT, f: given.float };
  return "dtype" in given
    ? tensorAttribute(name, tensorFields("", given as Tensor))
    : graphAttribute(name, given as GraphFields);
}
