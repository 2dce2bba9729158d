import { dataTypes, int, ints, OnnxWriter } from "../onnx-writer.ts";

/** The scaffolding of sizes that torch.onnx's TorchScript exporter leaves in a graph. */
export class TorchScriptWriter extends OnnxWriter {
  constructor(opset: number) {
    super({ opset, constantNodes: true });
  }

  /** i64 scalar */
  size(x: string, axis: number): string {
    return this.op("Gather", [this.op("Shape", [x]), int(axis)], { axis: 0 });
  }

  /** i64 vector of sizes, each a scalar value or a number. */
  sizes(...sizes: readonly (string | number)[]): string {
    const parts = sizes.map((size) =>
      typeof size === "number" ? ints(size) : this.op("Unsqueeze", [size, ints(0)]),
    );
    return this.op("Concat", parts, { axis: 0 });
  }

  reshape(x: string, ...sizes: readonly (string | number)[]): string {
    return this.op("Reshape", [x, this.sizes(...sizes)], { allowzero: 0 });
  }

  /** `expand`, in which -1 keeps a size. */
  expand(x: string, ...sizes: readonly (string | number)[]): string {
    const wanted = this.op("Reshape", [this.sizes(...sizes), ints(-1)]);
    const ones = this.op("ConstantOfShape", [this.op("Shape", [wanted])], { value: ints(1) });
    const isKept = this.op("Equal", [wanted, this.op("Mul", [ones, int(-1)])]);
    return this.op("Expand", [x, this.op("Where", [isKept, ones, wanted])]);
  }

  slice(x: string, axis: number, from: string | number, to: string | number): string {
    const bound = (at: string | number) =>
      typeof at === "number" ? ints(at) : this.op("Unsqueeze", [at, ints(0)]);
    return this.op("Slice", [x, bound(from), bound(to), ints(axis), ints(1)]);
  }

  /** i64 [to - from] */
  arange(from: string | number, to: string): string {
    return this.op("Range", [typeof from === "number" ? int(from) : from, to, int(1)]);
  }

  cast(x: string, to: keyof typeof dataTypes): string {
    return this.op("Cast", [x], { to: dataTypes[to] });
  }
}
