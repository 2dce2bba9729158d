import type { VulkanTensor } from "../../../serialize/vulkan-graph.ts";
import type { DType } from "../../../tensor/dtype.ts";
import type { Tensor } from "../../../tensor/tensor.ts";

/** The types of tensors that there are shaders for. BOOL takes a byte. */
const dtypes: ReadonlyMap<VulkanTensor["dataType"], DType> = new Map([
  ["BOOL", "bool"],
  ["UINT8", "u8"],
  ["INT8", "i8"],
  ["INT32", "i32"],
  ["FLOAT16", "f16"],
  ["FLOAT32", "f32"],
]);

/** @returns undefined for a type that there are no shaders for */
export const dtypeOf = (dataType: VulkanTensor["dataType"]): DType | undefined => dtypes.get(dataType);

/** A tensor value of a graph, and what it holds as the graph runs. */
export class GraphTensor {
  readonly dtype: DType;
  /** The largest sizes. */
  readonly bound: readonly number[];
  /** Data of the program that no op has put into the device's memory yet. */
  readonly isConstant: boolean;
  /** In a buffer; else in a texture, which is what the runtime takes where a graph leaves it open. */
  readonly isBuffer: boolean;
  readonly layout: VulkanTensor["layout"];
  /** Keeps its elements from call to call, and is changed in place. */
  isState = false;
  #held: Tensor | undefined;

  constructor({ dataType, dims, constant, storage, layout }: VulkanTensor) {
    this.dtype = dtypeOf(dataType) ?? "i64";
    this.bound = dims;
    this.isConstant = constant !== undefined;
    this.isBuffer = storage === "BUFFER";
    this.layout = layout;
  }

  get rank(): number {
    return this.bound.length;
  }

  /** A size of the bound; a negative axis counts from the end. */
  size(axis: number): number {
    return this.bound.at(axis) ?? 1;
  }

  get tensor(): Tensor {
    if (this.#held === undefined) throw new Error("a tensor of a graph is read that nothing was written to");
    return this.#held;
  }

  /** Takes a tensor as it is. @throws RangeError when its type is another or its shape exceeds the bound */
  write(tensor: Tensor): void {
    const { dtype, shape } = tensor;
    const { bound } = this;
    if (dtype !== this.dtype)
      throw new RangeError(`Its result is ${dtype} and goes to a tensor of ${this.dtype}.`);
    if (shape.length !== bound.length || shape.some((size, axis) => size > bound[axis]!))
      throw new RangeError(
        `Its result is [${shape.join(", ")}] and goes to a tensor of at most [${bound.join(", ")}].`,
      );
    this.#held = tensor;
  }
}
