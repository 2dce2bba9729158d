import { unpackTernary } from "../../../packing/index.ts";
import { isTernaryBlock } from "../../../tensor/dtype.ts";
import type { Tensor, TensorData } from "../../../tensor/tensor.ts";

/** Weights that share an index: a byte holds 3^4 = 81 of its values, and a fifth weight would triple the tables. */
export const chunkWeights = 4;

/** Ternary weights [columns, depth], four to a byte. */
export interface TernaryMatrix {
  readonly columns: number;
  readonly depth: number;
  /** Neighbouring weights of a column that share a scale; a chunk never spans two groups. */
  readonly group: number;
  readonly chunksPerGroup: number;
  /** Chunks of one column. */
  readonly chunks: number;
  /** Σ (t_i + 1) · 3^i over the weights t_0 to t_3 of each chunk, column by column; missing weights are 0. */
  readonly indices: Uint8Array;
}

/** Weights are constants: what is made of one serves as long as it is in memory. */
const prepared = new WeakMap<TensorData, TernaryMatrix>();

/**
 * The weights of `bitnet.linear` in the form that its kernel reads, made once for each tensor.
 * @param weight codes -1, 0 and 1 [columns, depth] in i8, or packed in blocks
 * @param group weights that share a scale; 0: all of a column
 * @throws BitnetcError for packed bytes that stand for no ternary code; RangeError for i8 codes that do not
 */
export function ternaryMatrix(weight: Tensor, group: number): TernaryMatrix {
  const [columns, depth] = weight.shape as [number, number];
  const known = prepared.get(weight.data);
  const size = group === 0 ? Math.max(1, depth) : group;
  if (known !== undefined && known.depth === depth && known.group === size) return known;
  const matrix = prepare(ternaryCodes(weight), columns, depth, size);
  prepared.set(weight.data, matrix);
  return matrix;
}

function ternaryCodes({ dtype, shape, data }: Tensor): Int8Array {
  if (isTernaryBlock(dtype) && data instanceof Uint8Array)
    return unpackTernary(dtype, data, shape[0]!, shape[1]!);
  return data as Int8Array;
}

function prepare(codes: Int8Array, columns: number, depth: number, group: number): TernaryMatrix {
  const chunksPerGroup = Math.ceil(group / chunkWeights);
  const wholeGroups = Math.floor(depth / group);
  const chunks = wholeGroups * chunksPerGroup + Math.ceil((depth % group) / chunkWeights);
  const indices = new Uint8Array(columns * chunks);
  let at = 0;
  for (let column = 0; column < columns; column++) {
    const end = (column + 1) * depth;
    for (let from = column * depth; from < end; from += group) {
      const groupEnd = Math.min(end, from + group);
      for (let k = from; k < groupEnd; k += chunkWeights) {
        let index = 0;
        for (let i = chunkWeights - 1; i >= 0; i--) {
          const code = k + i < groupEnd ? codes[k + i]! : 0;
          if (code < -1 || code > 1)
            throw new RangeError(`A weight has the code ${code}, which is not ternary.`);
          index = index * 3 + code + 1;
        }
        indices[at++] = index;
      }
    }
  }
  return { columns, depth, group, chunksPerGroup, chunks, indices };
}
