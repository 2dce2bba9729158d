import type { Graph, Value } from "../../ir/graph.ts";
import { inlineWeight, rowsOfWeight, type WeightRef } from "../../ir/weights.ts";
import { type Dim, isSymbolic, sameDim, substituteDim } from "../../tensor/dim.ts";
import type { DType } from "../../tensor/dtype.ts";
import { tensor } from "../../tensor/tensor.ts";
import { computeSize, type SizeBounds, type SizeOp, sizeSources } from "../sizes.ts";
import {
  type InPlaceOp,
  type IntOp,
  type inPlaceOps,
  type intOps,
  type ManyTensorOp,
  type manyTensorOps,
  schemas,
  type TensorOp,
  type tensorOps,
} from "./aten.ts";
import { sizesTensor } from "./sizes-tensor.ts";
import type {
  ArgsOf,
  ArgTypes,
  ComputedInt,
  DelegateCall,
  Int,
  PortableCall,
  PortableTensor,
} from "./value.ts";

interface Type {
  readonly dtype: DType;
  readonly shape: readonly Dim[];
}

const sizeOps = {
  add: "executorch_prim::add.Scalar",
  sub: "executorch_prim::sub.Scalar",
  mul: "executorch_prim::mul.Scalar",
  floordiv: "executorch_prim::floordiv.Scalar",
  max: "executorch_prim::sym_max.Scalar",
  min: "executorch_prim::sym_min.Scalar",
} as const satisfies Record<SizeOp, IntOp>;

/** What a delegate computes in a method. */
export interface DelegateStep {
  /** Among the method's delegates. */
  readonly delegate: number;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

/** Writes down the calls of one method. */
export class Emitter {
  readonly calls: (PortableCall | DelegateCall)[] = [];
  readonly #tensors = new Map<Value, PortableTensor>();
  readonly #memory = new Map<string, unknown>();
  readonly #bounds: SizeBounds;
  readonly #sources: ReturnType<typeof sizeSources>;
  #count = 0;

  constructor(graph: Graph, bounds: SizeBounds) {
    this.#bounds = bounds;
    this.#sources = sizeSources(graph);
  }

  /** A call whose result is a new tensor. */
  op<O extends TensorOp>(op: O, args: ArgsOf<(typeof tensorOps)[O]>, type: Type): PortableTensor {
    const result = this.newTensor(type, { kind: "arena" });
    this.#call(op, args, [result]);
    return result;
  }

  /** A call whose results are new tensors. */
  many<O extends ManyTensorOp>(
    op: O,
    args: ArgsOf<(typeof manyTensorOps)[O]>,
    types: readonly Type[],
  ): readonly PortableTensor[] {
    const results = types.map((type) => this.newTensor(type, { kind: "arena" }));
    this.#call(op, args, results);
    return results;
  }

  /** A call that changes `self`. */
  inPlace<O extends InPlaceOp>(op: O, args: ArgsOf<(typeof inPlaceOps)[O]>): void {
    this.#call(op, args, [args.self]);
  }

  /** A call whose result is an integer. */
  int<O extends IntOp>(op: O, args: ArgsOf<(typeof intOps)[O]>): ComputedInt {
    const result: ComputedInt = { kind: "int", id: this.#count++ };
    this.#call(op, args, [result]);
    return result;
  }

  /** A call of a delegate, which binds what it computes. */
  delegate({ delegate, inputs, outputs }: DelegateStep): void {
    const results = outputs.map((value) => this.newTensor(value.type, { kind: "arena" }));
    this.calls.push({ delegate, inputs: inputs.map((value) => this.tensor(value)), outputs: results });
    outputs.forEach((value, i) => {
      this.bind(value, results[i]!);
    });
  }

  #call(
    op: keyof typeof schemas,
    args: Readonly<Record<string, unknown>>,
    results: PortableCall["results"],
  ): void {
    const ordered = Object.keys(schemas[op]).map((name) => args[name] as ArgTypes[keyof ArgTypes]);
    this.calls.push({ op, args: ordered, results });
  }

  newTensor({ dtype, shape }: Type, storage: PortableTensor["storage"], name?: string): PortableTensor {
    const bounded = shape.map((size) => substituteDim(size, this.#bounds));
    return {
      kind: "tensor",
      id: this.#count++,
      dtype,
      shape: bounded,
      storage,
      ...(name !== undefined && { name }),
    };
  }

  /** The tensor that holds a value of the graph. */
  tensor(value: Value): PortableTensor {
    const known = this.#tensors.get(value);
    if (known !== undefined) return known;
    const { def, type, contents } = value;
    if (def.kind === "const") return this.constant(def.data);
    if (def.kind === "dims" && contents !== undefined) {
      const sizes = sizesTensor(this, contents, type.shape);
      this.bind(value, sizes);
      return sizes;
    }
    throw new Error(`a ${def.kind} is used before it is there`);
  }

  bind(value: Value, result: PortableTensor): void {
    this.#tensors.set(value, result);
  }

  /** Makes what is under a key once. */
  once<T>(key: string, make: () => T): T {
    if (!this.#memory.has(key)) this.#memory.set(key, make());
    return this.#memory.get(key) as T;
  }

  constant(weight: WeightRef): PortableTensor {
    return this.once(`constant ${weight.id} ${JSON.stringify(weight.shape)}`, () =>
      this.newTensor(weight, { kind: "constant", weight, firstRow: 0 }),
    );
  }

  /** One number as a constant of shape [1]. */
  number(dtype: DType, value: number): PortableTensor {
    return this.constant(inlineWeight(tensor(dtype, [1], [value])));
  }

  /** Rows of a constant, where they are. */
  rows(of: PortableTensor, from: number, to: number): PortableTensor {
    if (of.storage.kind !== "constant") throw new Error("only a constant's rows are where they are");
    const { weight, firstRow } = of.storage;
    const { shape } = rowsOfWeight(weight, from, to);
    if (weight.inline) return this.constant(rowsOfWeight(weight, from, to));
    return this.newTensor(
      { dtype: of.dtype, shape },
      { kind: "constant", weight, firstRow: firstRow + from },
    );
  }

  /** A size when the program runs. */
  size(dim: Dim): Int {
    if (!isSymbolic(dim)) return dim;
    return this.once(`size ${dim.key}`, () =>
      computeSize<ComputedInt>(dim, {
        source: (symbol) => this.#source(symbol),
        apply: (op, a, b) => this.int(sizeOps[op], { a, b }),
        size: (inner) => this.size(inner),
      }),
    );
  }

  /** Says which tensor's axis has a size that no input tells. */
  measure(symbol: string, self: PortableTensor, axis: number): void {
    this.once(`symbol ${symbol}`, () => this.int("aten::sym_size.int", { self, dim: axis }));
  }

  #source(symbol: string): Int {
    return this.once(`symbol ${symbol}`, () => {
      const source = this.#sources.get(symbol);
      if (source === undefined) throw new Error(`no input says what ${symbol} is`);
      const self = this.tensor(source.input);
      return source.axis === undefined
        ? this.int("aten::_local_scalar_dense", { self })
        : this.int("aten::sym_size.int", { self, dim: source.axis });
    });
  }

  /** The same elements in another shape. A size that is not known yet is left to the kernel where there is one. */
  view(x: PortableTensor, shape: readonly Dim[]): PortableTensor {
    if (shape.length === x.shape.length && shape.every((size, i) => sameDim(size, x.shape[i]!))) return x;
    if (x.storage.kind === "state") return this.newTensor({ dtype: x.dtype, shape }, x.storage);
    const unknown = shape.filter(isSymbolic).length;
    const size = shape.map((dim) => (isSymbolic(dim) && unknown === 1 ? -1 : this.size(dim)));
    return this.op("aten::view_copy.out", { self: x, size }, { dtype: x.dtype, shape });
  }

  permute(x: PortableTensor, dims: readonly number[]): PortableTensor {
    const shape = dims.map((axis) => x.shape[axis]!);
    return this.op("aten::permute_copy.out", { self: x, dims }, { dtype: x.dtype, shape });
  }

  cast(x: PortableTensor, dtype: DType): PortableTensor {
    if (x.dtype === dtype) return x;
    const args = { self: x, non_blocking: false, memory_format: undefined };
    return this.op("aten::_to_copy.out", args, { dtype, shape: x.shape });
  }

  /** x[start:end:step] along one axis; `size` is the length that this gives. */
  slice(
    x: PortableTensor,
    dim: number,
    start: Int,
    end: Int | undefined,
    size: Dim,
    step = 1,
  ): PortableTensor {
    const shape = x.shape.with(dim, size);
    return this.op(
      "aten::slice_copy.Tensor_out",
      { self: x, dim, start, end, step },
      { dtype: x.dtype, shape },
    );
  }
}
