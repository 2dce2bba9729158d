import { expect } from "vitest";
import { bitnetOps } from "../../src/ir/ops/bitnet.ts";
import { elementwiseOps } from "../../src/ir/ops/elementwise.ts";
import { indexingOps } from "../../src/ir/ops/indexing.ts";
import { movementOps } from "../../src/ir/ops/movement.ts";
import { neuralOps } from "../../src/ir/ops/neural.ts";
import type { ArgInfo, AttrValue, OpDef } from "../../src/ir/ops/op.ts";
import { reductionOps } from "../../src/ir/ops/reduction.ts";
import { type Dim, dimKey } from "../../src/tensor/dim.ts";
import { type DType, isFloat } from "../../src/tensor/dtype.ts";
import { elementCount, type Tensor, tensor } from "../../src/tensor/tensor.ts";

const table = {
  ...elementwiseOps,
  ...reductionOps,
  ...movementOps,
  ...indexingOps,
  ...neuralOps,
  ...bitnetOps,
};
export type TestedOp = keyof typeof table;
type OpArgs = Readonly<Record<string, Tensor | readonly Tensor[]>>;
type Infos = Readonly<Record<string, ArgInfo | readonly ArgInfo[]>>;
type Attrs = Readonly<Record<string, AttrValue>>;

export const definition = (op: TestedOp): OpDef => table[op] as unknown as OpDef;

/** What inference sees of a tensor: integers and bools are known, floats are not. */
const infoOf = ({ dtype, shape, data }: Tensor): ArgInfo => ({
  type: { dtype, shape },
  contents: isFloat(dtype) ? undefined : Array.from(data),
});

/**
 * Runs an op's kernel and checks it against the op's own inference: dtypes, shapes, and the contents where inference
 * knows them.
 */
export function run(op: TestedOp, args: OpArgs, attrs: Attrs = {}): readonly Tensor[] {
  const def = definition(op);
  const infos = Object.fromEntries(
    Object.entries(args).map(([name, arg]) => [
      name,
      Array.isArray(arg) ? arg.map(infoOf) : infoOf(arg as Tensor),
    ]),
  );
  const results = def.kernel(args as never, attrs);
  const types = def.infer(infos as never, attrs);
  expect(types.length).toBe(results.length);
  results.forEach((result, i) => {
    expect(result.dtype).toBe(types[i]!.dtype);
    const inferred = types[i]!.shape;
    expect(inferred.length).toBe(result.shape.length);
    for (const [axis, size] of inferred.entries())
      if (typeof size === "number") expect(result.shape[axis]).toBe(size);
    expect(result.data.length).toBe(elementCount(result.shape));
  });
  const known = def.contents?.(infos as never, attrs);
  if (known !== undefined) expect(known.map(Number)).toEqual(Array.from(results[0]!.data));
  return results;
}

/** The elements of an op's first result. */
export const elements = (op: TestedOp, args: OpArgs, attrs: Attrs = {}): number[] =>
  Array.from(run(op, args, attrs)[0]!.data);

/** An argument for inference alone. */
export const info = (dtype: DType, shape: readonly Dim[], contents?: readonly Dim[]): ArgInfo => ({
  type: { dtype, shape },
  contents,
});
/** A vector of sizes. */
export const sizes = (...contents: readonly Dim[]): ArgInfo => info("i64", [contents.length], contents);

/** `f32[seq, 4]` of each result. */
export function inferred(op: TestedOp, args: Infos, attrs: Attrs = {}): string {
  const types = definition(op).infer(args as never, attrs);
  return types.map(({ dtype, shape }) => `${dtype}[${shape.map(dimKey).join(", ")}]`).join("; ");
}
/** Keys of the contents that inference derives. */
export const contentsOf = (op: TestedOp, args: Infos, attrs: Attrs = {}): readonly string[] | undefined =>
  definition(op)
    .contents?.(args as never, attrs)
    ?.map(dimKey);

export type Call = Parameters<typeof inferred>;

/** Test cases with a title each. */
export const titled = <Row extends readonly unknown[]>(rows: readonly Row[], title: (row: Row) => string) =>
  rows.map((row): readonly [string, ...Row] => [title(row), ...row]);

export const list = (dims: readonly Dim[]): string => `[${dims.map(dimKey).join(", ")}]`;

/** `gather(x: i64[3] = [batch, seq, 256]; indices: i64[] = [1]) {"axis":0}` */
export function describeCall([op, args, attrs]: Call): string {
  const describe = ({ type, contents }: ArgInfo): string =>
    `${type.dtype}${list(type.shape)}${contents ? ` = ${list(contents)}` : ""}`;
  const parts = Object.entries(args).map(
    ([name, arg]) => `${name}: ${[arg].flat().map(describe).join(", ")}`,
  );
  return `${op}(${parts.join("; ")})${attrs ? ` ${JSON.stringify(attrs)}` : ""}`;
}

/** A repeatable sequence of numbers in [0, 1): the mulberry32 generator. */
export function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const random = randomNumbers(7);
/** Numbers from -4 to 4; integers for integer types, with zeros among them. */
export function randomTensor(dtype: DType, shape: readonly number[]): Tensor {
  const draw = (): number => {
    if (dtype === "bool") return random() < 0.5 ? 1 : 0;
    const value = random() * 8 - 4;
    return isFloat(dtype)
      ? value
      : dtype.startsWith("u")
        ? Math.abs(Math.round(value))
        : Math.round(value) + 0;
  };
  return tensor(dtype, shape, Array.from({ length: elementCount(shape) }, draw));
}

export const vector = (...data: readonly number[]): Tensor => tensor("i64", [data.length], data);
export const floats = (...data: readonly number[]): Tensor => tensor("f32", [data.length], data);

/** Every index tuple of a shape, in row-major order. */
export function indicesOf(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>(
    (before, size) => before.flatMap((index) => Array.from({ length: size }, (_, i) => [...index, i])),
    [[]],
  );
}

/** The element at an index tuple. */
export const at = ({ shape, data }: Tensor, index: readonly number[]): number =>
  data[index.reduce((offset, i, axis) => offset * shape[axis]! + i, 0)]!;

/** The element of a tensor broadcast to a larger rank. */
export const atBroadcast = (t: Tensor, index: readonly number[]): number =>
  at(
    t,
    t.shape.map((size, axis) => (size === 1 ? 0 : index[index.length - t.shape.length + axis]!)),
  );
