import type { Node, Value } from "../ir/graph.ts";
import type { Dim } from "../tensor/dim.ts";
import { isFloat } from "../tensor/dtype.ts";

/** A past/present pair: an input to which this call's keys or values are added, and which is returned. */
export interface Cache {
  readonly past: Value;
  readonly outputName: string;
  /** What is computed from the past and the new rows: the whole cache, its axes as they were when rows were added. */
  readonly result: Value;
  /** The new rows, with the axes of `result`. */
  readonly rows: Value;
  /** The axis of `past` that positions lie along. */
  readonly axis: number;
  /**
   * The axes of `result` in the order batch, heads, positions, width. Where heads lie side by side, which
   * `heads` tells, after they have been taken apart.
   */
  readonly order: readonly number[];
  /** Heads that lie side by side in the last of three axes, [batch, positions, heads · width]. */
  readonly heads?: Dim;
  /** For a cache of fixed size: the indices at which an op writes the rows. */
  readonly writtenAt?: Value;
}

/** The axes of a cache in the order batch, heads, positions, width, by the axis of the positions. */
const orders: Readonly<Record<number, readonly number[]>> = {
  1: [0, 2, 1, 3],
  2: [0, 1, 2, 3],
  3: [0, 1, 3, 2],
};

/** The cache whose present is an output, if it is one. */
export function cacheOf(outputName: string, present: Value): Cache | undefined {
  const { value: result, perm: after } = throughTransposes(present);
  const { node } = result;
  const addition = node && additionOf(node);
  if (addition === undefined) return undefined;
  const { value: past, perm: before } = throughTransposes(addition.cache);
  if (past.def.kind !== "input" || !isFloat(past.type.dtype)) return undefined;
  const rank = past.type.shape.length;
  const isSameLayout = after === undefined ? before === undefined : isInverse(after, before ?? [0, 1, 2, 3]);
  if (!isSameLayout) return undefined;
  const axis = before?.[addition.axis] ?? addition.axis;
  const found = { past, outputName, result, rows: addition.rows, axis, writtenAt: addition.indices };
  if (rank === 3) {
    const heads = axis === 1 ? headsOf(result) : undefined;
    return heads === undefined ? undefined : cache({ ...found, order: orders[1]!, heads });
  }
  const order = orders[axis];
  if (rank !== 4 || order === undefined) return undefined;
  return cache({ ...found, order: order.map((each) => before?.indexOf(each) ?? each) });
}

const cache = ({ writtenAt, ...rest }: Omit<Cache, "writtenAt"> & { writtenAt: Value | undefined }): Cache =>
  writtenAt === undefined ? rest : { ...rest, writtenAt };

interface Addition {
  readonly cache: Value;
  readonly rows: Value;
  /** The axis that positions lie along. */
  readonly axis: number;
  readonly indices?: Value;
}

/** What is added to what: rows put behind a growing cache, or written into one of fixed size. */
export function additionOf(node: Node): Addition | undefined {
  if (node.op === "concat") {
    const [past, rows, ...more] = node.list("inputs");
    if (past === undefined || rows === undefined || more.length > 0) return undefined;
    return { cache: past, rows, axis: positiveAxis(node, past) };
  }
  if (node.attrs.reduction !== "none") return undefined;
  const scatter = () => ({ cache: node.arg("x"), rows: node.arg("updates"), indices: node.arg("indices") });
  if (node.op === "scatter_elements") return { ...scatter(), axis: positiveAxis(node, node.arg("x")) };
  const writesRows = node.op === "scatter_nd" && isColumn(node.arg("indices"));
  return writesRows ? { ...scatter(), axis: 0 } : undefined;
}

const positiveAxis = ({ attrs }: Node, { type }: Value): number =>
  ((attrs.axis as number) + type.shape.length) % type.shape.length;

/** [n, 1] */
const isColumn = ({ type }: Value): boolean => type.shape.length === 2 && type.shape[1] === 1;

/** What a value is a transpose of, and how, whatever float type either is in. */
function throughTransposes(value: Value): { value: Value; perm: readonly number[] | undefined } {
  const wide = throughCast(value);
  if (wide.node?.op !== "transpose") return { value: wide, perm: undefined };
  return { value: throughCast(wide.node.arg("x")), perm: wide.node.attrs.perm as readonly number[] };
}

function throughCast(value: Value): Value {
  const x = value.node?.op === "cast" ? value.node.arg("x") : value;
  return isFloat(x.type.dtype) ? x : value;
}

const isInverse = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((axis, i) => b[axis] === i);

/** The heads into which attention divides the last axis of a cache [batch, positions, heads · width]. */
function headsOf(result: Value): Dim | undefined {
  for (const { op, results } of result.users) {
    const shape = results[0]!.type.shape;
    if (op === "reshape" && shape.length === 4) return shape[2];
  }
  return undefined;
}
