import type { Graph, Value } from "../../ir/graph.ts";
import { castWeight, inlineWeight, reshapeWeight, rowsOfWeight, type WeightRef } from "../../ir/weights.ts";
import { type Dim, isSymbolic, sameDim, substituteDim } from "../../tensor/dim.ts";
import { type DType, isFloat } from "../../tensor/dtype.ts";
import { tensor } from "../../tensor/tensor.ts";
import { swapAxes } from "../cached-attention.ts";
import { computeSize, type SizeBounds, type SizeOp, type SizeSource, sizeSources } from "../sizes.ts";
import {
  type IntOp,
  type intOps,
  type ListOp,
  type listOps,
  schemas,
  type TensorOp,
  type tensorOps,
} from "./operators.ts";
import type {
  ArgsOf,
  ArgTypes,
  Int,
  MemoryDType,
  Operand,
  VulkanConstant,
  VulkanInt,
  VulkanOpCall,
  VulkanTensor,
} from "./value.ts";

interface Type {
  readonly dtype: MemoryDType;
  readonly shape: readonly Dim[];
}

/** Where a value's elements are, as they lie in its shape or with heads and tokens swapped, or what makes them. */
interface Binding {
  plain?: VulkanTensor;
  /** Of a value [B, H, S, D], as [B, S, H, D]: what the ops of attention take. */
  swapped?: VulkanTensor;
  make?: (() => void) | undefined;
}

/** Writes down the calls of one delegate, which computes some nodes of a graph. */
export class Emitter {
  readonly calls: VulkanOpCall[] = [];
  /** Values of the graph that the delegate takes, with the tensors that they are there. */
  readonly inputs = new Map<Value, VulkanTensor>();
  readonly #bindings = new Map<Value, Binding>();
  readonly #memory = new Map<string, unknown>();
  /** Tensors with the same elements in other shapes. */
  readonly #viewed = new Map<VulkanTensor, readonly VulkanTensor[]>();
  readonly #bounds: SizeBounds;
  readonly #sources: ReadonlyMap<string, SizeSource>;
  #count = 0;

  constructor(graph: Graph, bounds: SizeBounds) {
    this.#bounds = bounds;
    this.#sources = sizeSources(graph);
  }

  /** A call whose result is a new tensor. */
  op<O extends TensorOp>(op: O, args: ArgsOf<(typeof tensorOps)[O]>, type: Type): VulkanTensor {
    const result = this.newTensor(type);
    this.#call(op, args, result);
    return result;
  }

  /** A call whose results are new tensors. */
  ops<O extends ListOp>(
    op: O,
    args: ArgsOf<(typeof listOps)[O]>,
    types: readonly Type[],
  ): readonly VulkanTensor[] {
    const results = types.map((type) => this.newTensor(type));
    this.#call(op, args, results);
    return results;
  }

  /** A call whose result is an integer. */
  int<O extends IntOp>(op: O, args: ArgsOf<(typeof intOps)[O]>): VulkanInt {
    const result: VulkanInt = { kind: "int", id: this.#count++ };
    this.#call(op, args, result);
    return result;
  }

  #call(op: keyof typeof schemas, args: Readonly<Record<string, unknown>>, result: VulkanOpCall["result"]) {
    const ordered = Object.keys(schemas[op]).map((name) => args[name] as ArgTypes[keyof ArgTypes]);
    this.calls.push({ op, args: ordered, result });
  }

  newTensor({ dtype, shape }: Type, isKept = false): VulkanTensor {
    const bounded = shape.map((size) => substituteDim(size, this.#bounds));
    return { kind: "tensor", id: this.#count++, dtype, shape: bounded, ...(isKept && { isKept }) };
  }

  /** The largest that a size can be in one call. */
  bounded(size: Dim): Dim {
    return substituteDim(size, this.#bounds);
  }

  /** Makes what is under a key once. */
  once<T>(key: string, make: () => T): T {
    if (!this.#memory.has(key)) this.#memory.set(key, make());
    return this.#memory.get(key) as T;
  }

  bind(value: Value, plain: VulkanTensor): void {
    this.#bindings.set(value, { plain });
  }

  /** @param swapped a value [B, H, S, D] as [B, S, H, D] */
  bindSwapped(value: Value, swapped: VulkanTensor): void {
    this.#bindings.set(value, { swapped });
  }

  /** A value is another one [B, H, S, D] as [B, S, H, D]: nothing is moved. */
  bindSwappedOf(value: Value, other: Value): void {
    const { plain, swapped } = this.#bindingOf(other);
    this.#bindings.set(value, { ...(swapped && { plain: swapped }), ...(plain && { swapped: plain }) });
  }

  /** Leaves a value to be made when it is used, or with another. @param make binds it */
  bindLater(value: Value, make: () => void): void {
    this.#bindings.set(value, { make });
  }

  /** The tensor that holds a value of the graph. */
  tensor(value: Value): VulkanTensor {
    const binding = this.#bindingOf(value);
    binding.plain ??= this.permute(binding.swapped!, swapAxes);
    return binding.plain;
  }

  /** The tensor that holds a value [B, H, S, D] of the graph as [B, S, H, D]. */
  swapped(value: Value): VulkanTensor {
    const binding = this.#bindingOf(value);
    binding.swapped ??= this.permute(binding.plain!, swapAxes);
    return binding.swapped;
  }

  #bindingOf(value: Value): Binding {
    const known = this.#bindings.get(value);
    if (known?.make !== undefined) {
      known.make();
      return this.#bindingOf(value);
    }
    if (known !== undefined) return known;
    const { def } = value;
    const binding = def.kind === "const" ? { plain: this.resident(def.data) } : { plain: this.input(value) };
    this.#bindings.set(value, binding);
    return binding;
  }

  /** A constant where a tensor in memory is wanted. */
  resident(weight: WeightRef): VulkanTensor {
    const data = this.constant(weight);
    return this.once(`resident ${keyOf(data.weight)}`, () => {
      const result = this.newTensor({ dtype: "f32", shape: data.weight.shape }, true);
      this.#call("et_vk.prepack.default", { data }, result);
      return result;
    });
  }

  /** What comes from outside. */
  input(value: Value): VulkanTensor {
    const { dtype, shape } = value.type;
    let input = this.inputs.get(value);
    if (input === undefined) {
      input = this.newTensor({ dtype: memoryDType(dtype), shape }, true);
      this.inputs.set(value, input);
    }
    return input;
  }

  /** Floats are f32 on the device; a number without axes is a vector of one. */
  constant(weight: WeightRef): VulkanConstant {
    const shaped = weight.shape.length === 0 ? reshapeWeight(weight, [1]) : weight;
    return { kind: "constant", weight: isFloat(weight.dtype) ? castWeight(shaped, "f32") : shaped };
  }

  /** Data that the op writes to, or another that has the same contents at first: a value of its own. */
  ownConstant(weight: WeightRef): VulkanConstant {
    return { ...this.constant(weight), copy: this.#count++ };
  }

  /** Rows of a constant, in data of their own. */
  rows({ weight }: VulkanConstant, from: number, to: number): VulkanConstant {
    return { kind: "constant", weight: rowsOfWeight(weight, from, to), rowsOf: { weight, from } };
  }

  number(value: number): VulkanConstant {
    return this.constant(inlineWeight(tensor("f32", [1], [value])));
  }

  /** What binary ops take: data of the program where the value is a constant. */
  operand(value: Value): Operand {
    return value.def.kind === "const" ? this.constant(value.def.data) : this.tensor(value);
  }

  /** A size when the graph runs. */
  size(dim: Dim): Int {
    if (!isSymbolic(dim)) return dim;
    return this.once(`size ${dim.key}`, () =>
      computeSize<VulkanInt>(dim, {
        source: (symbol) => this.#source(symbol),
        apply: (op, a, b) => this.int(sizeOps[op] ?? unsupported(op), { a, b }),
        size: (inner) => this.size(inner),
      }),
    );
  }

  /** The size of an axis of what the delegate takes anyway, else of an input of the program. */
  #source(symbol: string): Int {
    return this.once(`symbol ${symbol}`, () => {
      for (const [value, self] of this.inputs) {
        const axis = value.type.shape.findIndex((size) => isSymbolic(size) && size.key === symbol);
        if (axis >= 0) return this.int("sym_size.int", { self, dim: axis });
      }
      const source = this.#sources.get(symbol);
      if (source === undefined) throw new Error(`no input says what ${symbol} is`);
      const x = this.input(source.input);
      return source.axis === undefined
        ? this.int("et_vk.select_as_symint.default", { x, dim: 0, index: 0 })
        : this.int("sym_size.int", { self: x, dim: source.axis });
    });
  }

  /** The same elements in another shape. A size that is not known yet is left to the op where there is one. */
  view(x: VulkanTensor, shape: readonly Dim[]): VulkanTensor {
    const bounded = shape.map((size) => this.bounded(size));
    const known = [x, ...(this.#viewed.get(x) ?? [])].find((each) => sameSizes(each.shape, bounded));
    if (known !== undefined) return known;
    const unknown = shape.filter(isSymbolic).length;
    const size = shape.map((dim) => (isSymbolic(dim) && unknown === 1 ? -1 : this.size(dim)));
    const view = this.op("aten.view_copy.default", { self: x, size }, { dtype: x.dtype, shape });
    this.#viewed.set(view, [x, ...(this.#viewed.get(x) ?? [])]);
    return view;
  }

  permute(x: VulkanTensor, dims: readonly number[]): VulkanTensor {
    const shape = dims.map((axis) => x.shape[axis]!);
    return this.op("aten.permute_copy.default", { self: x, dims }, { dtype: x.dtype, shape });
  }
}

/** Equal keys mean equal contents in the program. */
export const keyOf = ({ id, shape }: WeightRef): string => `${id} ${JSON.stringify(shape)}`;

/** What an element of the graph is on the device. */
export const memoryDType = (dtype: DType): MemoryDType => (isFloat(dtype) ? "f32" : "i32");

const sameSizes = (a: readonly Dim[], b: readonly Dim[]): boolean =>
  a.length === b.length && a.every((size, i) => sameDim(size, b[i]!));

/** There are no ops for the larger and the smaller of two sizes. */
const sizeOps: { readonly [O in SizeOp]?: "add" | "sub" | "mul" | "floordiv" } = {
  add: "add",
  sub: "sub",
  mul: "mul",
  floordiv: "floordiv",
};

function unsupported(op: SizeOp): never {
  throw new Error(`there is no ${op} of sizes`);
}
