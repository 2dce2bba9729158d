import { ceilDivideDims, type Dim, maxOf, productOf } from "../../../../tensor/dim.ts";
import { defineKernel } from "../../kernel.ts";
import {
  broadcastStrides,
  coordinates,
  elementType,
  type Operand,
  offsetOf,
  operandBindings,
  operandFunctions,
  unsupportedDType,
} from "../../operands.ts";
import { shader, wgslSize } from "../../wgsl.ts";

export interface MatmulParams {
  readonly a: Operand;
  readonly b: Operand;
  /** Of the result's axes before the last two. */
  readonly batch: readonly Dim[];
}

const workgroupSize = 64;
/** Rows that an invocation has of one column. */
const side = 4;

/** A 1-D a is a row, a 1-D b a column. */
const matricesOf = ({ a, b }: MatmulParams) => ({
  left: a.shape.length === 1 ? [1, ...a.shape] : a.shape,
  right: b.shape.length === 1 ? [...b.shape, 1] : b.shape,
});

export const matmul = defineKernel<MatmulParams>({
  name: "matmul",
  doc: "The op matmul: a [… , M, K] · b [… , K, N] with broadcast batches, a 1-D a as a row, a 1-D b as a column; a and b as the operands are, of floats; out value f32 [batch, M, N]. Sums in f32.",
  class: "matmul",
  supports({ a, b, batch }) {
    const reason = unsupportedDType([a.dtype, b.dtype]);
    if (reason !== undefined) return reason;
    if (elementType(a.dtype) !== "f32" || elementType(b.dtype) !== "f32")
      return `there is no shader for matmul of ${a.dtype} and ${b.dtype}`;
    return maxOf(productOf(batch)) > 65535 ? "a dispatch has 65535 matrices at most" : undefined;
  },
  build(params, target) {
    const { a, b, batch } = params;
    const { left, right } = matricesOf(params);
    const [rows, depth] = left.slice(-2) as [Dim, Dim];
    const columns = right.at(-1)!;
    const offset = (shape: readonly Dim[]) => {
      const matrix = wgslSize(productOf(shape.slice(-2)));
      return `(${offsetOf("at", broadcastStrides(shape.slice(0, -2), batch))}) * ${matrix}`;
    };
    const each = Array.from({ length: side }, (_, i) => i);
    return shader(target, {
      bindings: {
        ...operandBindings({ a, b }),
        out: { type: "array<f32>", access: "value" },
      },
      workgroupSize,
      workgroups: [ceilDivideDims(columns, workgroupSize), ceilDivideDims(rows, side), productOf(batch)],
      declarations: operandFunctions({ a, b }),
      body: `
  let rows = ${wgslSize(rows)};
  let depth = ${wgslSize(depth)};
  let columns = ${wgslSize(columns)};
  let column = workgroup.x * ${workgroupSize}u + local;
  let first = workgroup.y * ${side}u;
  if (column >= columns) { return; }
  ${coordinates("at", "workgroup.z", batch)}
  let a_first = ${offset(left)};
  let b_first = ${offset(right)} + column;
${each.map((i) => `  let a_row${i} = a_first + min(first + ${i}u, rows - 1u) * depth;\n  var sum${i} = 0.0;`).join("\n")}
  for (var k = 0u; k < depth; k++) {
    let factor = b_at(b_first + k * columns);
${each.map((i) => `    sum${i} += a_at(a_row${i} + k) * factor;`).join("\n")}
  }
  let out_first = (workgroup.z * rows + first) * columns + column;
${each.map((i) => `  if (first + ${i}u < rows) { out[out_first + ${i}u * columns] = sum${i}; }`).join("\n")}`,
    });
  },
});
