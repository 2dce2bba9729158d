import { allocate, type Tensor } from "../../../../tensor/tensor.ts";
import { fitted } from "../../kernels/fit.ts";
import { checkPositions } from "../../kernels/positions.ts";
import type { GraphTensor } from "../graph-tensor.ts";
import { size, tensor } from "../kinds.ts";
import { type Faults, listOp, type Operators } from "../operator.ts";
import { multipleOf, sameFloats, shapeText, widthPacked } from "./checks.ts";

/** One row of cosines and sines for each position. */
interface Tables {
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/** Element i of a head is turned with element i + R / 2, of the first R of its elements. */
function rotateHalves(x: Tensor, { cos, sin }: Tables, start: number): Tensor {
  const [batch, length, heads, width] = x.shape as [number, number, number, number];
  const rotated = cos.shape.at(-1)!;
  const half = rotated / 2;
  const { data } = x;
  const out = allocate(x.dtype, data.length);
  out.set(data);
  for (let row = 0; row < batch * length * heads; row++) {
    const angle = (start + (Math.floor(row / heads) % length)) * rotated;
    const from = row * width;
    for (let i = 0; i < half; i++) {
      const [x0, x1] = [data[from + i]!, data[from + half + i]!];
      out[from + i] = x0 * cos.data[angle + i]! - x1 * sin.data[angle + i]!;
      out[from + half + i] = x1 * cos.data[angle + half + i]! + x0 * sin.data[angle + half + i]!;
    }
  }
  return fitted(x.dtype, x.shape, out);
}

/** Neighbours are turned together; the tables begin with the first of the positions. */
function rotatePairs(x: Tensor, { cos, sin }: Tables): Tensor {
  const [batch, length, heads, width] = x.shape as [number, number, number, number];
  const { data } = x;
  const out = allocate(x.dtype, data.length);
  for (let row = 0; row < batch * length * heads; row++) {
    const angle = ((Math.floor(row / heads) % length) * width) / 2;
    for (let i = 0, at = row * width; i < width / 2; i++, at += 2) {
      const [x0, x1] = [data[at]!, data[at + 1]!];
      out[at] = x0 * cos.data[angle + i]! - x1 * sin.data[angle + i]!;
      out[at + 1] = x1 * cos.data[angle + i]! + x0 * sin.data[angle + i]!;
    }
  }
  return fitted(x.dtype, x.shape, out);
}

const faults = (
  q: GraphTensor,
  k: GraphTensor,
  cos: GraphTensor,
  sin: GraphTensor,
  out: readonly GraphTensor[],
): Faults => [
  ...sameFloats(q, k, cos, sin, ...out),
  out.length !== 2 && `${out.length} results`,
  [q, k].some(({ rank }) => rank !== 4) && "heads that are not of 4 axes",
  q.size(-1) !== k.size(-1) && `heads of ${q.size(-1)} and ${k.size(-1)}`,
  q.size(-2) < k.size(-2) && `${q.size(-2)} heads for ${k.size(-2)} of keys`,
  q.size(-3) !== k.size(-3) && `${q.size(-3)} and ${k.size(-3)} positions`,
  cos.rank !== 2 && `tables of ${cos.rank} axes`,
  cos.bound.join() !== sin.bound.join() && `tables of ${shapeText(cos.bound)} and ${shapeText(sin.bound)}`,
  widthPacked(q, k, cos, sin),
];

/** Of queries and keys [B, S, H, D]. */
export const rotaryOperators: Operators = {
  "et_vk.apply_rotary_emb_hf.default": listOp(
    [tensor, tensor, tensor, tensor, size],
    (q, k, cos, sin, start) => {
      checkPositions(start, q.shape[1]!, cos.shape[0]!, "rotary tables");
      return [q, k].map((x) => rotateHalves(x, { cos, sin }, start));
    },
    (q, k, cos, sin, _start, out) => [
      ...faults(q, k, cos, sin, out),
      multipleOf(cos.size(-1), 8, "tables"),
      cos.size(-1) > q.size(-1) && `tables of ${cos.size(-1)} for heads of ${q.size(-1)}`,
      cos.size(0) < q.size(-3) && `tables of ${cos.size(0)} rows for ${q.size(-3)} positions`,
    ],
  ),
  "et_vk.apply_rotary_emb.default": listOp(
    [tensor, tensor, tensor, tensor],
    (q, k, cos, sin) => {
      checkPositions(0, q.shape[1]!, cos.shape[0]!, "rotary tables");
      return [q, k].map((x) => rotatePairs(x, { cos, sin }));
    },
    (q, k, cos, sin, out) => [
      ...faults(q, k, cos, sin, out),
      2 * cos.size(-1) !== q.size(-1) && `tables of ${cos.size(-1)} for heads of ${q.size(-1)}`,
    ],
  ),
};
