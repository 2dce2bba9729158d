import { movementKernels as references } from "../../../../runtime/cpu/kernels/movement.ts";
import { type Dim, subtractDims, symbol } from "../../../../tensor/dim.ts";
import { type Tensor, tensor } from "../../../../tensor/tensor.ts";
import { defineCases, type KernelCase } from "../../kernel-case.ts";
import {
  isSoftware,
  operand,
  operandElements,
  operandTensor,
  sizesOf,
  symbols,
  untouchedLike,
  valueElements,
} from "../operand-data.ts";
import { type StridedCopyParams, stridedCopy } from "./kernel.ts";
import { concatCopy, expandCopy, sliceCopy, tileCopy, transposeCopy } from "./layouts.ts";

const S = symbol("S", 64, 2);
const vector = (values: readonly number[]): Tensor => tensor("i64", [values.length], values);

function caseOf(
  name: string,
  params: StridedCopyParams,
  reference: (x: Tensor) => readonly Tensor[],
): KernelCase<StridedCopyParams> {
  const x = () => operandTensor(1, params.input);
  return {
    name,
    params,
    symbols,
    on: isSoftware,
    inputs: () => ({ x: operandElements(params.input, x()), out: untouchedLike(reference(x())[0]!) }),
    expected: () => ({ out: { elements: valueElements(reference(x())[0]!) } }),
  };
}

const block = operand("f32", [2, S, 3, 4]);

const transposes = [
  [0, 2, 1, 3],
  [3, 2, 1, 0],
].map((perm) =>
  caseOf(`transpose ${perm}`, transposeCopy(block, perm), (x) => references.transpose({ x }, { perm })),
);

interface Slice {
  readonly axes: readonly number[];
  readonly starts: readonly Dim[];
  readonly ends: readonly Dim[];
  readonly steps: readonly number[];
  readonly shape: readonly Dim[];
}

const slices: readonly Slice[] = [
  { axes: [1], starts: [subtractDims(S, 1)], ends: [S], steps: [1], shape: [2, 1, 3, 4] },
  { axes: [1], starts: [-1], ends: [S], steps: [1], shape: [2, 1, 3, 4] },
  { axes: [1], starts: [-7], ends: [S], steps: [1], shape: [2, S, 3, 4] },
  { axes: [3, 2], starts: [1, 0], ends: [4, 3], steps: [2, 2], shape: [2, S, 2, 2] },
  { axes: [3, 1], starts: [3, -1], ends: [-99, -99], steps: [-1, -1], shape: [2, S, 3, 4] },
  { axes: [2], starts: [99], ends: [-99], steps: [-2], shape: [2, S, 2, 4] },
];
const sliceCases = slices.map(({ axes, starts, ends, steps, shape }) =>
  caseOf(
    `slice of axes ${axes} from ${sizesOf(starts)} by ${steps}`,
    sliceCopy(block, axes, starts, steps, shape),
    (x) =>
      references.slice({ x, starts: vector(sizesOf(starts)), ends: vector(sizesOf(ends)) }, { axes, steps }),
  ),
);

const joined = [operand("i64", [2, S, 3]), operand("i64", [2, 4, 3]), operand("i64", [2, 1, 3])];
const concatCases = joined.map((_, index) =>
  caseOf(`concat, input ${index}`, concatCopy(joined, 1, index), (x) => {
    // what the other inputs fill stays as it is
    const inputs = joined.map((other, i) =>
      i === index
        ? x
        : tensor("i64", sizesOf(other.shape), operandTensor(0, other).data.map(() => 77) as never),
    );
    return references.concat({ inputs }, { axis: 1 });
  }),
);

export const stridedCopyCases = defineCases({
  kernel: stridedCopy,
  cases: [
    ...transposes,
    ...sliceCases,
    ...concatCases,
    caseOf("transpose of bools", transposeCopy(operand("bool", [S, 3]), [1, 0]), (x) =>
      references.transpose({ x }, { perm: [1, 0] }),
    ),
    caseOf("expand of a constant", expandCopy(operand("bf16", [3, 1], true), [2, 3, S]), (x) =>
      references.expand({ x, shape: vector(sizesOf([2, 3, S])) }, {}),
    ),
    caseOf("tile", tileCopy(operand("f32", [S, 2]), [2, 3]), (x) =>
      references.tile({ x, repeats: vector([2, 3]) }, {}),
    ),
    caseOf("expand of a scalar", expandCopy(operand("f32", []), [S, 2]), (x) =>
      references.expand({ x, shape: vector(sizesOf([S, 2])) }, {}),
    ),
  ],
  benches: [],
});
