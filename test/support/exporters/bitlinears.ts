import { type Tensor, tensor } from "../../../src/tensor/tensor.ts";
import { dataTypes, float, ints, type OnnxWriter } from "../onnx-writer.ts";
import { type LinearWriter, matmulLinear, type Quantized, quantizeActivations } from "./linears.ts";
import { type Linear, scaleTensor, transposed } from "./weights.ts";

type Quantizer = (w: OnnxWriter, x: string) => Quantized;

const absmax = (w: OnnxWriter, x: string): string =>
  w.op("ReduceMax", [w.op("Abs", [x]), ints(-1)], { keepdims: 1 });
const atLeast = (w: OnnxWriter, x: string, low: number): string => w.op("Max", [x, float(low)]);
const int8 = (w: OnnxWriter, x: string): string =>
  w.op("Clip", [w.op("Round", [x]), float(-128), float(127)]);

/** Ways to quantise activations that give BitNet's codes. */
export const quantizers = {
  reciprocal: quantizeActivations,
  division(w, x) {
    const scale = w.op("Div", [float(127), atLeast(w, absmax(w, x), 1e-5)]);
    return { codes: int8(w, w.op("Mul", [x, scale])), scale };
  },
  "both ends"(w, x) {
    const [high, low] = ["ReduceMax", "ReduceMin"].map((op) => w.op(op, [x, ints(-1)], { keepdims: 1 })) as [
      string,
      string,
    ];
    const largest = w.op("Max", [high, w.op("Neg", [low])]);
    const scale = w.op("Div", [float(127), w.op("Clip", [largest, float(1e-5)])]);
    return { codes: int8(w, w.op("Mul", [x, scale])), scale };
  },
  "max and min"(w, x) {
    const scale = w.op("Div", [float(127), atLeast(w, absmax(w, x), 1e-5)]);
    const rounded = w.op("Round", [w.op("Mul", [scale, x])]);
    return { codes: w.op("Max", [w.op("Min", [rounded, float(127)]), float(-127)]), scale };
  },
  "one clamp"(w, x) {
    const scale = w.op("Div", [float(127), w.op("Clip", [absmax(w, x), float(1e-5), float(Infinity)])]);
    return { codes: w.op("Round", [w.op("Mul", [x, scale])]), scale };
  },
  "int8 and back"(w, x) {
    const { codes, scale } = quantizeActivations(w, x);
    return {
      codes: w.op("Cast", [w.op("Cast", [codes], { to: dataTypes.i8 })], { to: dataTypes.f32 }),
      scale,
    };
  },
  "ratio times 127"(w, x) {
    const largest = atLeast(w, absmax(w, x), 1e-5);
    const codes = int8(w, w.op("Mul", [w.op("Div", [x, largest]), float(127)]));
    return { codes, scale: w.op("Div", [float(127), largest]) };
  },
} satisfies Record<string, Quantizer>;

/** y · weight scale / activation scale, in the orders in which exporters write it. */
const rescalings = {
  "in front": undefined,
  "one division": (w, y, s, ws) => w.op("Div", [y, w.op("Mul", [s, w.op("Reciprocal", [ws])])]),
  "two steps": (w, y, s, ws) => w.op("Mul", [w.op("Div", [y, s]), ws]),
  "one factor": (w, y, s, ws) => w.op("Mul", [y, w.op("Div", [ws, s])]),
  "by reciprocal": (w, y, s, ws) => w.op("Mul", [w.op("Mul", [y, w.op("Reciprocal", [s])]), ws]),
} satisfies Record<string, ((w: OnnxWriter, y: string, s: string, ws: Tensor) => string) | undefined>;
export type Rescaling = keyof typeof rescalings;

const withBias = (w: OnnxWriter, y: string, { bias }: Linear): string =>
  bias === undefined ? y : w.op("Add", [y, bias]);

/** A BitNet linear with its activations quantised by one of the ways, and rescaled in one of the orders. */
export const bitLinear =
  (quantize: Quantizer, rescaling: Rescaling = "in front"): LinearWriter =>
  (w, x, linear) => {
    const { codes, scale } = quantize(w, x);
    const rescale = rescalings[rescaling];
    if (rescale === undefined) return matmulLinear(w, w.op("Div", [codes, scale]), linear);
    const product = w.op("MatMul", [codes, w.initializer(transposed(linear.weight))]);
    return withBias(w, rescale(w, product, scale, scaleTensor(linear)), linear);
  };

/** The step size absmax / 127 instead of its inverse, behind the product too. */
export const stepBitLinear: LinearWriter = (w, x, linear) => {
  const step = w.op("Div", [atLeast(w, absmax(w, x), 1e-5), float(127)]);
  const codes = int8(w, w.op("Div", [x, step]));
  const product = w.op("MatMul", [codes, w.initializer(transposed(linear.weight))]);
  const scaled = w.op("Mul", [w.op("Mul", [product, step]), scaleTensor(linear)]);
  return withBias(w, scaled, linear);
};

/** The product in integers. @param stored the codes as they are, or 0 to 2 with a zero point */
export const integerBitLinear =
  (stored: "i8" | "u8"): LinearWriter =>
  (w, x, linear) => {
    const { codes, scale } = quantizeActivations(w, x);
    const offset = stored === "u8" ? 1 : 0;
    const { shape, data } = transposed(linear.weight);
    const weight = tensor(
      stored,
      shape,
      Array.from(data, (code) => code + offset),
    );
    const zeros = [tensor("i8", [], [0]), tensor(stored, [], [offset])];
    const product = w.op("MatMulInteger", [w.op("Cast", [codes], { to: dataTypes.i8 }), weight, ...zeros]);
    const y = w.op("Cast", [product], { to: dataTypes.f32 });
    const step = w.op("Mul", [w.op("Reciprocal", [scale]), scaleTensor(linear)]);
    return withBias(w, w.op("Mul", [y, step]), linear);
  };

/** Ways to store a ternary weight, each giving f32 [K, N] times the scale or not. */
export const storages = {
  "int8, cast": (w, { weight }) => {
    const codes = transposed(tensor("i8", weight.shape, Array.from(weight.data)));
    return { matrix: w.op("Cast", [w.initializer(codes)], { to: dataTypes.f32 }), isScaled: false };
  },
  "f16, cast, transposed": (w, { weight }) => {
    const wide = w.op("Cast", [w.initializer(tensor("f16", weight.shape, Array.from(weight.data)))], {
      to: dataTypes.f32,
    });
    return { matrix: w.op("Transpose", [wide], { perm: [1, 0] }), isScaled: false };
  },
  "times the scale in the graph": (w, { weight, scale }) => ({
    matrix: w.op("Mul", [w.initializer(transposed(weight)), float(scale as number)]),
    isScaled: true,
  }),
  "times the scale": (w, { weight, scale }) => ({
    matrix: w.initializer(
      transposed(
        tensor(
          "f32",
          weight.shape,
          Array.from(weight.data, (code) => code * (scale as number)),
        ),
      ),
    ),
    isScaled: true,
  }),
  "divided by its inverse": (w, { weight, scale }) => ({
    matrix: w.op("Div", [w.initializer(transposed(weight)), float(1 / (scale as number))]),
    isScaled: true,
  }),
  "int8, dequantised": (w, { weight, scale }) => {
    const codes = transposed(tensor("i8", weight.shape, Array.from(weight.data)));
    return {
      matrix: w.op("DequantizeLinear", [w.initializer(codes), float(scale as number)]),
      isScaled: true,
    };
  },
  "int8, dequantised for each output": (w, { weight, scale }) => {
    const codes = transposed(tensor("i8", weight.shape, Array.from(weight.data)));
    const scales = tensor("f32", [weight.shape[0]!], new Array(weight.shape[0]!).fill(scale));
    return { matrix: w.op("DequantizeLinear", [w.initializer(codes), scales], { axis: 1 }), isScaled: true };
  },
  "int2, dequantised": (w, { weight, scale }) => {
    const codes = transposed(tensor("i2", weight.shape, Array.from(weight.data)));
    return {
      matrix: w.op("DequantizeLinear", [w.initializer(codes), float(scale as number)]),
      isScaled: true,
    };
  },
  "uint2 with a zero point, dequantised": (w, { weight, scale }) => {
    const codes = transposed(
      tensor(
        "u2",
        weight.shape,
        Array.from(weight.data, (code) => code + 1),
      ),
    );
    const zero = tensor("u2", [], [1]);
    return {
      matrix: w.op("DequantizeLinear", [w.initializer(codes), float(scale as number), zero]),
      isScaled: true,
    };
  },
} satisfies Record<
  string,
  (w: OnnxWriter, linear: Linear) => { readonly matrix: string; readonly isScaled: boolean }
>;

/** A BitNet linear over a weight stored in one of the ways. */
export const storedBitLinear =
  (storage: keyof typeof storages): LinearWriter =>
  (w, x, linear) => {
    const { codes, scale } = quantizeActivations(w, x);
    const { matrix, isScaled } = storages[storage](w, linear);
    const y = w.op("MatMul", [w.op("Div", [codes, scale]), matrix]);
    return withBias(w, isScaled ? y : w.op("Mul", [y, scaleTensor(linear)]), linear);
  };

/** Gemm over rows, the weight as it lies in PyTorch. */
export const gemmBitLinear: LinearWriter = (w, x, linear) => {
  const { codes, scale } = quantizeActivations(w, x);
  const [outputs, inputs] = linear.weight.shape as [number, number];
  const lead = w.op("Shape", [x], { start: 0, end: -1 });
  const rows = w.op("Reshape", [w.op("Div", [codes, scale]), ints(-1, inputs)]);
  const product = w.op("Gemm", [rows, linear.weight], { transB: 1 });
  const y = w.op("Reshape", [product, w.op("Concat", [lead, ints(outputs)], { axis: 0 })]);
  return withBias(w, w.op("Mul", [y, scaleTensor(linear)]), linear);
};

/** Quantisation that is not BitNet's: one scale for the whole tensor, found at run time; asymmetric codes. */
export const dynamicLinear: LinearWriter = (w, x, linear) => {
  const [codes, scale, zero] = w.outputs("DynamicQuantizeLinear", [x], 3) as [string, string, string];
  const weight = transposed(tensor("i8", linear.weight.shape, Array.from(linear.weight.data)));
  const product = w.op("MatMulInteger", [codes, weight, zero, tensor("i8", [], [0])]);
  const factor = w.op("Mul", [scale, scaleTensor(linear)]);
  return withBias(w, w.op("Mul", [w.op("Cast", [product], { to: dataTypes.f32 }), factor]), linear);
};

/** One fixed scale for every token. */
export const fixedScaleLinear: LinearWriter = (w, x, linear) => {
  const parameters = [float(0.05), tensor("i8", [], [0])];
  const codes = w.op("QuantizeLinear", [x, ...parameters]);
  return matmulLinear(w, w.op("DequantizeLinear", [codes, ...parameters]), linear);
};

/** Rounding half up, which is not BitNet's. */
export const halfUpLinear: LinearWriter = (w, x, linear) => {
  const scale = w.op("Div", [float(127), atLeast(w, absmax(w, x), 1e-5)]);
  const rounded = w.op("Floor", [w.op("Add", [w.op("Mul", [x, scale]), float(0.5)])]);
  return matmulLinear(w, w.op("Div", [w.op("Clip", [rounded, float(-128), float(127)]), scale]), linear);
};
