import { type Tensor, tensor } from "../../../src/tensor/tensor.ts";
import { float, ints, type OnnxWriter } from "../onnx-writer.ts";
import { type Linear, scaleTensor, transposed } from "./weights.ts";

/** Writes a linear layer; returns its result. */
export type LinearWriter = (w: OnnxWriter, x: string, linear: Linear) => string;

const withBias = (w: OnnxWriter, y: string, { bias }: Linear): string =>
  bias === undefined ? y : w.op("Add", [y, bias]);

/** x · Wᵀ with the transposed weight, as exporters fold it; · scale behind. */
export const matmulLinear: LinearWriter = (w, x, linear) => {
  const y = w.op("MatMul", [x, w.initializer(transposed(linear.weight))]);
  const scaled = linear.scale === undefined ? y : w.op("Mul", [y, scaleTensor(linear)]);
  return withBias(w, scaled, linear);
};

/** Gemm over rows, as Conv1D is exported; the weight lies [K, N]. */
export const gemmLinear: LinearWriter = (w, x, { weight, bias }) => {
  const [outputs, inputs] = weight.shape as [number, number];
  const lead = w.op("Slice", [w.op("Shape", [x]), ints(0), ints(-1), ints(0)]);
  const rows = w.op("Reshape", [x, ints(-1, inputs)]);
  const product = w.op("Gemm", [rows, w.initializer(transposed(weight)), bias ?? tensor("f32", [outputs])]);
  return w.op("Reshape", [product, w.op("Concat", [lead, ints(outputs)], { axis: 0 })]);
};

/** BitNet's activation quantisation: the codes, as floats, and the scale 127 / absmax. */
export interface Quantized {
  readonly codes: string;
  readonly scale: string;
}

/** The chain that transformers' ActQuant exports. */
export function quantizeActivations(w: OnnxWriter, x: string): Quantized {
  const absmax = w.op("ReduceMax", [w.op("Abs", [x]), ...(w.opset >= 18 ? [ints(-1)] : [])], {
    keepdims: 1,
    ...(w.opset < 18 && { axes: [-1] }),
  });
  const floor = w.op("Clip", [absmax, float(1e-5)]);
  const scale = w.op("Mul", [w.op("Reciprocal", [floor]), float(127)]);
  const rounded = w.op("Round", [w.op("Mul", [x, scale])]);
  return { codes: w.op("Clip", [rounded, float(-128), float(127)]), scale };
}

/** transformers' AutoBitLinear: fake-quantised activations, ternary weight, scale behind. */
export const autoBitLinear: LinearWriter = (w, x, linear) => {
  const { codes, scale } = quantizeActivations(w, x);
  return matmulLinear(w, w.op("Div", [codes, scale]), linear);
};

/** Codes of `bits` bits along the rows of [N, K] as MatMulNBits takes them: u8 [N, blocks, blockSize · bits / 8]. */
export function packBlocks(codes: Tensor, bits: number, blockSize: number): Tensor {
  const [rows, columns] = codes.shape as [number, number];
  const blocks = Math.ceil(columns / blockSize);
  const bytes = (blockSize * bits) / 8;
  const data = new Uint8Array(rows * blocks * bytes);
  for (let r = 0; r < rows; r++)
    for (let c = 0; c < columns; c++) {
      const bit = c * bits;
      data[r * blocks * bytes + (bit >> 3)]! |= codes.data[r * columns + c]! << (bit & 7);
    }
  return { dtype: "u8", shape: [rows, blocks, bytes], data };
}

/** Bytes that hold one zero point a block, packed as the codes are: u8 [N, ceil(blocks · bits / 8)]. */
function packZeroPoints(zero: number, rows: number, blocks: number, bits: number): Tensor {
  const bytes = Math.ceil((blocks * bits) / 8);
  const data = new Uint8Array(rows * bytes);
  for (let r = 0; r < rows; r++)
    for (let i = 0; i < blocks; i++) data[r * bytes + ((i * bits) >> 3)]! |= zero << ((i * bits) & 7);
  return { dtype: "u8", shape: [rows, bytes], data };
}

/** Ternary weights as MatMulNBits of two bits; codes are 1 to 3, or 0 to 2 with zero points. */
export const matmulTwoBits =
  (blockSize: number, zeroPoint?: number): LinearWriter =>
  (w, x, { weight, scale, bias }) => {
    const [N, K] = weight.shape as [number, number];
    const blocks = Math.ceil(K / blockSize);
    const codes = { ...weight, data: weight.data.map((code) => code + (zeroPoint ?? 2)) } as Tensor;
    const scaleOf = (row: number): number => (typeof scale === "object" ? scale[row]! : (scale ?? 1));
    const values = Array.from({ length: N * blocks }, (_, i) => scaleOf(Math.floor(i / blocks)));
    const scales = tensor("f32", [N, blocks], values);
    const zeros = zeroPoint === undefined ? undefined : packZeroPoints(zeroPoint, N, blocks, 2);
    const attributes = { K, N, bits: 2, block_size: blockSize };
    const y = w.op(
      "com.microsoft::MatMulNBits",
      [x, packBlocks(codes, 2, blockSize), scales, zeros],
      attributes,
    );
    return withBias(w, y, { weight, ...(bias && { bias }) });
  };

/** A matrix rounded to four bits: packed codes around 8, and a scale for each block of a row. */
export function fourBitBlocks(
  matrix: Tensor,
  blockSize: number,
): { readonly packed: Tensor; readonly scales: Tensor } {
  const [rows, columns] = matrix.shape as [number, number];
  const blocks = Math.ceil(columns / blockSize);
  const scales = new Float32Array(rows * blocks);
  const blockOf = (i: number): number =>
    Math.floor(i / columns) * blocks + Math.floor((i % columns) / blockSize);
  matrix.data.forEach((value, i) => {
    scales[blockOf(i)] = Math.max(scales[blockOf(i)]!, Math.abs(value) / 7);
  });
  const codes = matrix.data.map((value, i) => Math.round(value / scales[blockOf(i)]!) + 8);
  return {
    packed: packBlocks({ ...matrix, data: codes } as Tensor, 4, blockSize),
    scales: tensor("f32", [rows, blocks], scales),
  };
}

/** Dense weights rounded to four bits, each block with a scale of its own. */
export const matmulFourBits =
  (blockSize: number): LinearWriter =>
  (w, x, { weight, bias }) => {
    const [N, K] = weight.shape as [number, number];
    const { packed, scales } = fourBitBlocks(weight, blockSize);
    const attributes = { K, N, bits: 4, block_size: blockSize, accuracy_level: 4 };
    const y = w.op("com.microsoft::MatMulNBits", [x, packed, scales], attributes);
    return withBias(w, y, { weight, ...(bias && { bias }) });
  };

/** The same with the activations quantised in front, for those who want BitNet's own numbers. */
export const quantizedInFront =
  (linear: LinearWriter): LinearWriter =>
  (w, x, weights) => {
    const { codes, scale } = quantizeActivations(w, x);
    return linear(w, w.op("Div", [codes, scale]), weights);
  };
