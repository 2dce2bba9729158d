import { softmax as reference } from "../../../../runtime/cpu/kernels/normalization.ts";
import { symbol } from "../../../../tensor/dim.ts";
import { f32, randomFloats, rubbish } from "../../case-data.ts";
import { defineCases, type KernelCase } from "../../kernel-case.ts";
import { isDistinct } from "../operand-data.ts";
import { type SoftmaxParams, softmax } from "./kernel.ts";

function caseOf(outer: number, size: number, inner: number, masked = false): KernelCase<SoftmaxParams> {
  const count = outer * size * inner;
  return {
    name: `${outer} x ${size} x ${inner}${masked ? ", masked" : ""}`,
    params: { outer, size: symbol("S", 4096, 1), inner },
    symbols: { S: size },
    on: isDistinct,
    inputs: () => ({
      x: randomFloats(1, count, 9).map((x, i) => (masked && i % size > 1 ? Number.NEGATIVE_INFINITY : x)),
      out: rubbish(count),
    }),
    expected: ({ x }) => {
      const [out] = reference({ x: f32(x!, outer, size, inner) }, { axis: 1 });
      return { out: { elements: out!.data as Float32Array<ArrayBuffer>, tolerance: 1e-5 } };
    },
  };
}

export const softmaxCases = defineCases({
  kernel: softmax,
  cases: [caseOf(5, 7, 1), caseOf(3, 301, 1), caseOf(2, 9, 4), caseOf(4, 33, 1, true)],
  benches: [],
});
