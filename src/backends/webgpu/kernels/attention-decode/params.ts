import {
  addDims,
  ceilDivideDims,
  type Dim,
  floorDivideDims,
  maxDims,
  maxOf,
  minDims,
  productOf,
  subtractDims,
} from "../../../../tensor/dim.ts";
import type { BoundRows, HeadNorm, Heads, Rotary, Scoring } from "../../attention.ts";
import type { Target } from "../../target.ts";
import { wgslSize } from "../../wgsl.ts";

/** One token at position `start`, whose key and value are not in the caches yet. */
export interface AttentionDecodeParams extends Heads, Scoring {
  /** P: positions before the token's. Its upper bound must be known. */
  readonly start: Dim;
  /** Neighbouring positions that a workgroup attends to at a time: a small power of two. */
  readonly chunk: number;
  /** Rows of the caches. */
  readonly capacity: number;
  /** Of one token each. */
  readonly query: BoundRows;
  readonly key: BoundRows;
  readonly value: BoundRows;
  /** Of q and of k. */
  readonly rope: Rotary | undefined;
  readonly norm: HeadNorm | undefined;
}

/** Keys of a chunk: few on a GPU, so that a short context has many workgroups too; on a CPU each is an invocation's. */
export const chunkFor = (target: Target): number => (target.reduction === "serial" ? 32 : 16);

/** Partial results of a head, at most: enough workgroups for a large GPU. In longer contexts each has several chunks. */
const mostSplits = 64;

/** What says which positions there are and which of them are seen. */
export type Positions = Pick<AttentionDecodeParams, "start" | "window" | "chunk">;

/** Partial results of each head: one of each chunk that positions seen lie in, or of several neighbouring ones. */
export function splitsOf({ start, window, chunk }: Positions): Dim {
  if (window === 0) return minDims(ceilDivideDims(addDims(start, 1), chunk), mostSplits);
  const first = maxDims(subtractDims(start, window - 1), 0);
  const chunks = addDims(subtractDims(floorDivideDims(start, chunk), floorDivideDims(first, chunk)), 1);
  return minDims(chunks, mostSplits);
}

/** WGSL that declares `position`, `earliest`, the first position that is seen, `chunks` and `splits`. */
export const splitStatements = (positions: Positions): string => `let position = ${wgslSize(positions.start)};
  let earliest = ${earliestSeen(positions)};
  let chunks = position / ${positions.chunk}u - earliest / ${positions.chunk}u + 1u;
  let splits = min(chunks, ${mostSplits}u);`;

function earliestSeen({ start, window }: Positions): string {
  if (window === 0) return "0u";
  const position = wgslSize(start);
  return `select(0u, ${position} - ${window - 1}u, ${position} >= ${window - 1}u)`;
}

/** The most that `splitsOf` can be. */
const largestSplits = ({ start, window, chunk }: Positions): number => {
  const all = Math.min(mostSplits, Math.ceil((maxOf(start) + 1) / chunk));
  return window === 0 ? all : Math.min(all, Math.ceil((window - 1) / chunk) + 1);
};

/** Elements of a row of partial results: the sum of values, the largest score, the sum of weights, two unused. */
export const partialWidth = (valueWidth: number): number => valueWidth + 4;

/** Elements of `partials`, f32 [splits, Hq, partialWidth], at the largest P. */
export const partialsSize = (params: Positions & Pick<Heads, "queryHeads" | "valueWidth">): number =>
  productOf([largestSplits(params), params.queryHeads, partialWidth(params.valueWidth)]) as number;

/** Query heads that a workgroup attends with, all of one key head: a divisor of those that share it. */
export function headsTogether({ queryHeads, keyHeads, width }: Heads): number {
  const sharing = queryHeads / keyHeads;
  const most = width > 128 ? 4 : 8;
  for (let heads = most; heads > 1; heads--) if (sharing % heads === 0) return heads;
  return 1;
}

/** Workgroups along x: groups of query heads, in order. */
export const groupsOf = (heads: Heads): number => heads.queryHeads / headsTogether(heads);

export const decodeWorkgroups = (params: AttentionDecodeParams): readonly [Dim, Dim, Dim] => [
  groupsOf(params),
  splitsOf(params),
  1,
];
