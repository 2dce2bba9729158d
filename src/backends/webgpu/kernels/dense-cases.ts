import { linear } from "../../../runtime/cpu/kernels/linear.ts";
import { subtractDims, symbol } from "../../../tensor/dim.ts";
import { f32, randomFloats } from "../case-data.ts";
import { type DenseStorage, denseStorages, rowBytes } from "../floats.ts";
import type { KernelBench, KernelCase } from "../kernel-case.ts";
import type { DenseParams } from "./dense.ts";
import { denseData } from "./dense-data.ts";
import { isDistinct } from "./operand-data.ts";

interface DenseCase {
  readonly storage: DenseStorage;
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
  readonly bias?: boolean;
  /** Only the last row of x. */
  readonly last?: boolean;
  /** Of a weight of so many rows, and where the part goes. */
  readonly part?: { readonly first: number; readonly of: number; readonly outputFirst: number };
}

/** Elements of out that stay as they are where a part does not reach them. */
const untouched = (count: number) => new Float32Array(count).fill(-3);

function caseOf({
  storage,
  rows,
  depth,
  columns,
  bias = false,
  last = false,
  part,
}: DenseCase): KernelCase<DenseParams> {
  const { first, of, outputFirst } = part ?? { first: 0, of: columns, outputFirst: 0 };
  const outputColumns = part ? outputFirst + columns + 3 : columns;
  const outputRows = last ? 1 : rows;
  const data = () => denseData(3, storage, of, depth);
  const tokens = symbol("S", 4096, 1);
  const what = [bias && "bias", last && "last row", part && `rows from ${first} on`].filter(Boolean);
  return {
    name: `${storage} ${rows} x ${depth} to ${columns}${what.length > 0 ? `, ${what.join(", ")}` : ""}`,
    params: {
      rows: last ? 1 : tokens,
      rowOffset: last ? subtractDims(tokens, 1) : 0,
      depth,
      storage,
      bias,
      first,
      columns,
      outputFirst,
      outputColumns,
    },
    symbols: { S: rows },
    on: isDistinct,
    inputs() {
      const { words, scale } = data();
      return {
        x: randomFloats(1, rows * depth, 2),
        weights: words(first, columns),
        ...(scale && { scales: scale.data as Float32Array<ArrayBuffer> }),
        ...(bias && { bias: randomFloats(2, of) }),
        out: untouched(outputRows * outputColumns),
      };
    },
    expected({ x, bias: biasValues }) {
      const { weight, scale } = data();
      const [result] = linear(
        {
          x: f32(x!, rows, depth),
          weight: { ...weight, dtype: scale ? "i8" : "f32" },
          bias: biasValues && f32(biasValues, of),
          scale,
        },
        {},
      );
      const out = untouched(outputRows * outputColumns);
      const from = last ? rows - 1 : 0;
      for (let row = 0; row < outputRows; row++)
        for (let n = 0; n < columns; n++)
          out[row * outputColumns + outputFirst + n] = result!.data[(from + row) * of + first + n]!;
      return { out: { elements: out, tolerance: depth > 4096 ? 6e-6 : 2e-6 } };
    },
  };
}

/** For kernels that read one, four and sixteen elements at once, and that take a row of x in pieces. */
const depths = [37, 68, 144, 7216] as const;

/** Cases for a kernel of `nn.linear`, for up to `rows` rows. */
export const denseCases = (rows: number): readonly KernelCase<DenseParams>[] => [
  ...denseStorages.flatMap((storage) => [
    caseOf({ storage, rows, depth: 68, columns: 70, bias: true }),
    caseOf({ storage, rows, depth: 37, columns: 5 }),
    caseOf({
      storage,
      rows,
      depth: 144,
      columns: 9,
      bias: true,
      part: { first: 4, of: 17, outputFirst: 6 },
    }),
  ]),
  ...depths.map((depth) => caseOf({ storage: "q8", rows: 1, depth, columns: 21 })),
  caseOf({ storage: "f32", rows, depth: 144, columns: 6, last: true }),
  caseOf({ storage: "bf16", rows: 1, depth: 144, columns: 16411 }),
];

export function denseBench(
  name: string,
  storage: DenseStorage,
  rows: number,
  columns: number,
  depth: number,
): KernelBench<DenseParams> {
  const weightBytes = columns * rowBytes(storage, depth);
  const sizes = {
    x: rows * depth * 4,
    weights: weightBytes,
    ...(storage === "q8" && { scales: columns * 4 }),
    out: rows * columns * 4,
  };
  return {
    name: `${name}: ${storage} ${rows} x ${depth} to ${columns}`,
    params: {
      rows,
      rowOffset: 0,
      depth,
      storage,
      bias: false,
      first: 0,
      columns,
      outputFirst: 0,
      outputColumns: columns,
    },
    sizes,
    bytes: Object.values(sizes).reduce((sum, size) => sum + size, 0),
    operations: rows * columns * depth,
  };
}
