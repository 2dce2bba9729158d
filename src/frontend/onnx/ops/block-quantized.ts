import { mapRows, readWeight, reshapeWeight, rowCount, type WeightRef } from "../../../ir/weights.ts";
import type { DType } from "../../../tensor/dtype.ts";
import {
  allocate,
  elementCount,
  roundToDType,
  type Tensor,
  type TensorData,
  tensor,
} from "../../../tensor/tensor.ts";

/** The weight as a matrix of `rows` rows, whether it is stored flat or with more dimensions. */
export function asRows(ref: WeightRef, rows: number): WeightRef {
  const columns = elementCount(ref.shape) / rows;
  const shape = [rows, columns];
  if (ref.inline || ref.whole || ref.shape[0] === rows) return reshapeWeight(ref, shape);
  return {
    id: `${ref.id} | reshape ${JSON.stringify(shape)}`,
    dtype: ref.dtype,
    shape,
    rows: async (from, to) =>
      tensor(ref.dtype, [to - from, columns], (await ref.rows(from * columns, to * columns)).data),
  };
}

/** Takes each row's bytes apart into `count` codes of 1, 2, 4 or 8 bits, from the low bits up: u8 [rows, count]. */
export function unpackCodes(packed: WeightRef, bits: number, count: number): WeightRef {
  const rows = rowCount(packed);
  const bytes = packed.shape[1]!;
  const mask = (1 << bits) - 1;
  return mapRows(packed, `unpack ${bits} bits`, { dtype: "u8", shape: [rows, count] }, (chunk) => {
    const chunkRows = chunk.shape[0]!;
    const codes = new Uint8Array(chunkRows * count);
    for (let row = 0, to = 0; row < chunkRows; row++) {
      const start = row * bytes;
      for (let i = 0; i < count; i++) {
        const bit = i * bits;
        codes[to++] = (chunk.data[start + (bit >> 3)]! >> (bit & 7)) & mask;
      }
    }
    return tensor("u8", [chunkRows, count], codes);
  });
}

/** Integer codes with what gives them their values: value = (code - zero point) · scale. */
interface QuantizedWeight {
  readonly codes: WeightRef;
  /** One number, a vector along `axis`, or the shape of the codes with `axis` divided into blocks. */
  readonly scales: WeightRef;
  /** Of the shape of the scales, or one number for all. */
  readonly zeroPoints: WeightRef | number;
  readonly axis: number;
  /** Codes along `axis` that share a scale. */
  readonly blockSize: number;
  /** i32 [size of the axis]: the block of each position, where blocks are not consecutive runs. */
  readonly blockOf?: WeightRef;
}

/**
 * The values of a quantised weight, computed from the rows that are read. The difference and the product are
 * each rounded to f32, and the result to `dtype`.
 */
export function dequantizeWeight(quantized: QuantizedWeight, dtype: DType): WeightRef {
  const { codes, scales, zeroPoints, blockOf, axis, blockSize } = quantized;
  const zeroPointId = typeof zeroPoints === "number" ? zeroPoints : zeroPoints.id;
  const order = blockOf === undefined ? "" : `, blocks ${blockOf.id}`;
  const step = `dequantize ${dtype} axis ${axis} block ${blockSize} (scales ${scales.id}, zero points ${zeroPointId}${order})`;
  return mapRows(codes, step, { dtype, shape: codes.shape }, (chunk, from) =>
    dequantizeRows(quantized, chunk, from, dtype),
  );
}

async function dequantizeRows(
  quantized: QuantizedWeight,
  chunk: Tensor,
  from: number,
  dtype: DType,
): Promise<Tensor> {
  const { zeroPoints, axis } = quantized;
  const layout = layoutOf(quantized, chunk.shape, from);
  const scales = await layout.read(quantized.scales);
  const zeros = typeof zeroPoints === "number" ? undefined : await layout.read(zeroPoints);
  const constantZero = typeof zeroPoints === "number" ? zeroPoints : 0;
  const blockOf = quantized.blockOf && (await readWeight(quantized.blockOf)).data;
  const outer = elementCount(chunk.shape.slice(0, axis));
  const length = chunk.shape[axis] ?? 1;
  const inner = elementCount(chunk.shape.slice(axis + 1));
  const out = allocate(dtype, chunk.data.length);
  for (let o = 0, at = 0; o < outer; o++) {
    for (let a = 0; a < length; a++) {
      const parameter = layout.parameterAt(o, a, blockOf);
      for (let i = 0; i < inner; i++, at++) {
        const p = parameter + i * layout.innerStep;
        out[at] = Math.fround(chunk.data[at]! - (zeros ? zeros[p]! : constantZero)) * scales[p]!;
      }
    }
  }
  roundToDType(dtype, out);
  return tensor(dtype, chunk.shape, out);
}

/** Where the scale of an element is, among the scales that a chunk of rows needs. */
interface ParameterLayout {
  read(parameters: WeightRef): Promise<TensorData>;
  /** For position `a` of the axis in the `o`-th run before it, both within the chunk. */
  parameterAt(o: number, a: number, blockOf: TensorData | undefined): number;
  readonly innerStep: 0 | 1;
}

function layoutOf(
  { codes, scales, axis, blockSize }: QuantizedWeight,
  chunkShape: readonly number[],
  from: number,
): ParameterLayout {
  const whole = async (parameters: WeightRef) => (await readWeight(parameters)).data;
  if (elementCount(scales.shape) === 1) return { read: whole, parameterAt: () => 0, innerStep: 0 };
  const firstPosition = axis === 0 ? from : 0;
  if (scales.shape.length === 1 && codes.shape.length > 0 && blockSize === 1)
    return { read: whole, parameterAt: (_, a) => firstPosition + a, innerStep: 0 };
  const inner = elementCount(codes.shape.slice(axis + 1));
  const blocks = scales.shape[axis]!;
  const rows = chunkShape[0]!;
  const [firstRow, lastRow] =
    axis === 0 ? [Math.floor(from / blockSize), Math.ceil((from + rows) / blockSize)] : [from, from + rows];
  return {
    read: async (parameters) => (await parameters.rows(firstRow, lastRow)).data,
    parameterAt: (o, a, blockOf) => {
      const block = blockOf ? blockOf[a]! : Math.floor((firstPosition + a) / blockSize);
      return (axis === 0 ? block - firstRow : o * blocks + block) * inner;
    },
    innerStep: 1,
  };
}
