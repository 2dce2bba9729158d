import { elementwiseKernels } from "../../../../runtime/cpu/kernels/elementwise.ts";
import { neuralKernels } from "../../../../runtime/cpu/kernels/neural.ts";
import { type Dim, symbol } from "../../../../tensor/dim.ts";
import type { DType } from "../../../../tensor/dtype.ts";
import { type Tensor, tensor } from "../../../../tensor/tensor.ts";
import { defineCases, type KernelCase } from "../../kernel-case.ts";
import type { Operand } from "../../operands.ts";
import {
  isSoftware,
  operandElements,
  operandTensor,
  sizesOf,
  symbols,
  untouchedLike,
  valueElements,
} from "../operand-data.ts";
import type { ElementwiseAttrs } from "./expressions.ts";
import { type ElementwiseParams, elementwise } from "./kernel.ts";

const S = symbol("S", 64, 1);

interface Options {
  readonly attrs?: ElementwiseAttrs;
  readonly dtype?: DType;
  readonly tolerance?: number;
  /** Of the inputs' elements. */
  readonly map?: (x: number) => number;
  readonly range?: number;
  readonly label?: string;
}

const value = (dtype: DType, ...shape: Dim[]): Operand => ({ shape, dtype, constant: false });
const constant = (dtype: DType, ...shape: Dim[]): Operand => ({ shape, dtype, constant: true });

type AnyKernel = (args: Readonly<Record<string, Tensor>>, attrs: object) => readonly Tensor[];
const references = { ...elementwiseKernels, ...neuralKernels } as unknown as Readonly<
  Record<string, AnyKernel>
>;

const argumentNames = (op: string, count: number): readonly string[] =>
  op === "where" ? ["condition", "a", "b"] : count === 1 ? ["x"] : ["a", "b"];

function caseOf(
  op: string,
  inputs: readonly Operand[],
  shape: readonly Dim[],
  options: Options = {},
): KernelCase<ElementwiseParams> {
  const { attrs = {}, dtype = inputs.at(-1)!.dtype, tolerance, map = (x) => x, range } = options;
  const tensors = (): Tensor[] => {
    const made: Tensor[] = [];
    inputs.forEach((input, i) => {
      const random = operandTensor(i + 1, input, range);
      made.push(
        input.sameAs === undefined
          ? tensor(input.dtype, random.shape, Array.from(random.data, map))
          : made[input.sameAs]!,
      );
    });
    return made;
  };
  const result = (): Tensor => {
    const names = argumentNames(op, inputs.length);
    const given = Object.fromEntries(tensors().map((values, i) => [names[i]!, values]));
    return references[op]!(given, op === "cast" ? { to: dtype } : attrs)[0]!;
  };
  const kinds = inputs.map(
    (input) => `${input.constant ? "constant " : ""}${input.dtype} [${sizesOf(input.shape)}]`,
  );
  return {
    name: `${op} of ${kinds.join(", ")}${options.label ?? ""}`,
    params: { op, inputs, shape, dtype, attrs },
    symbols,
    on: isSoftware,
    inputs() {
      const bound = tensors().flatMap((values, i) =>
        inputs[i]!.sameAs === undefined ? [["abc"[i]!, operandElements(inputs[i]!, values)] as const] : [],
      );
      return { ...Object.fromEntries(bound), out: untouchedLike(result()) };
    },
    expected: () => ({
      out: { elements: valueElements(result()), ...(tolerance !== undefined && { tolerance }) },
    }),
  };
}

const vector = value("f32", S, 3);
const unary = (op: string, tolerance: number, map?: (x: number) => number) =>
  caseOf(op, [vector], vector.shape, { tolerance, ...(map && { map }) });
const binary = (op: string, dtype: DType, options: Options = {}) =>
  caseOf(op, [value(dtype, S, 3), value(dtype, S, 3)], [S, 3], options);

const positive = (x: number) => Math.abs(x) + 0.1;
const inUnit = (x: number) => x / 4.5;
const exact = 1e-6;
const loose = 2e-5;

const unaryCases = [
  ...["neg", "abs", "sign", "floor", "ceil", "round", "relu", "nn.relu2", "sqrt", "rsqrt", "reciprocal"].map(
    (op) => unary(op, exact, op === "sqrt" || op === "rsqrt" ? positive : undefined),
  ),
  ...["exp", "sin", "cos", "atan", "sinh", "cosh", "tanh", "asinh", "erf", "sigmoid", "nn.silu"].map((op) =>
    unary(op, loose),
  ),
  ...["log", "tan", "atanh"].map((op) => unary(op, 2e-4, op === "log" ? positive : inUnit)),
  // WGSL allows them an error of some 1e-4
  ...["asin", "acos"].map((op) => unary(op, 1e-3, inUnit)),
  unary("acosh", 2e-4, (x) => Math.abs(x) + 1.1),
  ...(["none", "tanh"] as const).map((approximate) =>
    caseOf("nn.gelu", [vector], [S, 3], {
      attrs: { approximate },
      tolerance: loose,
      label: ` ${approximate}`,
    }),
  ),
  unary("sigmoid", exact, (x) => x * 100),
  unary("tanh", loose, (x) => x * 100),
  caseOf("round", [vector], [S, 3], { map: (x) => Math.round(x) + 0.5, label: ", halves" }),
];

const arithmetic = ["add", "sub", "mul", "div", "mod", "fmod", "maximum", "minimum"];
const comparisons = ["equal", "less", "less_equal", "greater", "greater_equal"];
const binaryCases = [
  ...arithmetic.map((op) => binary(op, "f32", { tolerance: 2e-6 })),
  ...[...arithmetic, "bitwise_and", "bitwise_or", "bitwise_xor"].map((op) => binary(op, "i64")),
  ...comparisons.map((op) => binary(op, "i64", { dtype: "bool" })),
  binary("less", "f32", { dtype: "bool" }),
  binary("equal", "bool", { dtype: "bool" }),
  ...["and", "or", "xor"].map((op) => binary(op, "bool")),
  binary("pow", "f32", { tolerance: loose, map: Math.round, range: 3 }),
  binary("pow", "i64", { map: Math.abs }),
  binary("shift_left", "u32"),
  binary("shift_right", "i32", { map: Math.abs }),
];

const otherCases = [
  caseOf("not", [value("bool", S, 3)], [S, 3]),
  caseOf("bitwise_not", [value("i32", S, 3)], [S, 3]),
  caseOf("where", [value("bool", S, 1), value("f32", 3), constant("f32", 1)], [S, 3]),
  caseOf("cast", [vector], [S, 3], { dtype: "i64" }),
  caseOf("cast", [value("i64", S, 3)], [S, 3], { dtype: "f32" }),
  caseOf("cast", [value("bool", S, 3)], [S, 3], { dtype: "f32" }),
  caseOf("cast", [value("i32", S, 3)], [S, 3], { dtype: "bool" }),
  ...["f16", "bf16", "i64", "i16", "i8", "u16", "u8", "bool"].map((dtype) =>
    caseOf("cast", [constant(dtype as DType, 7)], [7], { dtype: dtype.includes("f") ? "f32" : "i32" }),
  ),
  caseOf("is_nan", [vector], [S, 3], { dtype: "bool", map: (x) => (x < 0 ? Number.NaN : x) }),
  caseOf("is_inf", [vector], [S, 3], {
    dtype: "bool",
    attrs: { negative: true, positive: false },
    map: (x) => (x < -1 ? -Infinity : x > 1 ? Infinity : x),
  }),
];

const broadcasts: readonly (readonly Dim[])[] = [
  [],
  [1],
  [7],
  [3, 1],
  [1, 7],
  [S, 1, 1],
  [2, 1, 3, 7],
  [1, S, 1, 7],
];
const broadcastCases = [
  ...broadcasts.map((shape) =>
    caseOf("sub", [value("f32", 2, S, 3, 7), value("f32", ...shape)], [2, S, 3, 7]),
  ),
  caseOf("sub", [value("f32", S, 1), value("f32", 1, 7)], [S, 7]),
  caseOf("mul", [vector, { ...vector, sameAs: 0 }], [S, 3], { label: ", one value" }),
  caseOf("add", [value("f32", 1, 2, 1, S, 3, 2), constant("f16", 2, 1, 1, 3, 1)], [1, 2, 1, S, 3, 2], {
    dtype: "f32",
  }),
];

export const elementwiseCases = defineCases({
  kernel: elementwise,
  cases: [...unaryCases, ...binaryCases, ...otherCases, ...broadcastCases],
  benches: [],
});
