import { type Tensor, tensor } from "../../../src/tensor/tensor.ts";
import { float, int, ints } from "../onnx-writer.ts";
import type { TorchScriptWriter } from "./torchscript-writer.ts";
import type { LlamaConfig } from "./weights.ts";

export const lowest = -3.4028234663852886e38;
const end = 2 ** 63;

export interface MaskStyle {
  readonly kind: "sum" | "fill" | "buffer" | "triu";
  /** Keys that a query sees; 0: all. */
  readonly window: number;
  readonly config: LlamaConfig;
  readonly maskDType: "i64" | "bool" | "f32" | "i32";
}

/** The mask that the model is given, and i64 scalars: new, past and all tokens, and the batch. */
export interface Lengths {
  readonly mask: string | undefined;
  readonly S: string;
  readonly P: string | undefined;
  readonly T: string;
  readonly B: string;
}

/** f32 [B, 1, S, T], or for `buffer` [B, 1, positions, positions]: what is added to the scores. */
export function writeMask(
  w: TorchScriptWriter,
  { kind, window, config, maskDType }: MaskStyle,
  lengths: Lengths,
): string {
  const { mask, S, P, T, B } = lengths;
  const isMasked = (wide: string): string => (maskDType === "bool" ? w.cast(wide, "f32") : wide);
  if (kind === "buffer") return bufferMask(w, config, mask, B);
  if (kind === "triu") return triangleMask(w, window, lengths, isMasked);
  const full = w.op("ConstantOfShape", [w.sizes(S, S)], { value: tensor("f32", [1], [lowest]) });
  const columns = w.arange(0, w.size(full, 1));
  const isBefore = w.op("Less", [columns, w.reshape(w.op("Add", [columns, int(1)]), w.size(full, 1), 1)]);
  const causal = w.op("Where", [isBefore, float(0), full]);
  const zeros = P && w.op("ConstantOfShape", [w.sizes(S, P)], { value: tensor("f32", [1], [0]) });
  const wide = zeros ? w.op("Concat", [zeros, causal], { axis: -1 }) : causal;
  const causal4d = w.expand(w.op("Unsqueeze", [w.op("Unsqueeze", [wide, ints(0)]), ints(1)]), B, 1, S, T);
  if (mask === undefined) return causal4d;
  const rows = w.op("Unsqueeze", [w.op("Unsqueeze", [mask, ints(1)]), ints(2)]);
  const kept = w.cast(w.expand(isMasked(rows), B, 1, S, T), "f32");
  const inverted = w.op("Sub", [float(1), kept]);
  const isHidden = w.cast(inverted, "bool");
  if (kind === "fill") return w.op("Where", [isHidden, float(lowest), causal4d]);
  return w.op("Add", [w.op("Where", [isHidden, float(lowest), inverted]), causal4d]);
}

/** A triangle of the lowest float, times what lies after each position; padding is written over it. */
function triangleMask(
  w: TorchScriptWriter,
  window: number,
  { mask, S, P, T, B }: Lengths,
  numeric: (x: string) => string,
): string {
  const full = w.op("Expand", [float(lowest), w.sizes(S, T)]);
  const upper = window > 0 ? full : w.op("Trilu", [full, int(1)], { upper: 1 });
  const positions = w.reshape(w.arange(P ?? 0, T), -1, 1);
  const columns = w.arange(0, T);
  const isAfter = w.op("Greater", [columns, positions]);
  const isFar =
    window > 0 ? w.op("LessOrEqual", [columns, w.op("Sub", [positions, int(window)])]) : undefined;
  const isHidden = isFar ? w.op("Or", [isAfter, isFar]) : isAfter;
  const causal = w.op("Mul", [upper, w.cast(isHidden, "f32")]);
  const wide = w.expand(w.op("Unsqueeze", [w.op("Unsqueeze", [causal, ints(0)]), ints(1)]), B, 1, -1, -1);
  if (mask === undefined) return wide;
  const length = w.size(mask, 1);
  const part = w.slice(wide, 3, 0, length);
  const rows = w.cast(numeric(w.op("Unsqueeze", [w.op("Unsqueeze", [mask, ints(1)]), ints(2)])), "f32");
  const isPadding = w.op("Equal", [w.op("Add", [part, rows]), float(0)]);
  const filled = w.op("Where", [isPadding, float(lowest), part]);
  return scatterColumns(w, wide, filled, length);
}

/** `x[..., :length] = part`, as TorchScript spells it: ScatterND at indices of all elements. */
function scatterColumns(w: TorchScriptWriter, x: string, part: string, length: string): string {
  const sizes = [0, 1, 2].map((axis) => w.size(x, axis));
  const shape = w.sizes(...sizes, length);
  const grids = [...sizes, length].map((size, axis) => {
    const steps = w.reshape(w.arange(0, size), ...[0, 1, 2, 3].map((a) => (a === axis ? -1 : 1)));
    return w.op("Unsqueeze", [w.op("Expand", [steps, shape]), ints(-1)]);
  });
  const indices = w.op("Concat", grids, { axis: -1 });
  return w.op("ScatterND", [x, indices, w.op("Reshape", [part, shape])]);
}

/** A triangle of ones kept as a constant, times the lowest float; padding is filled in. */
function bufferMask(
  w: TorchScriptWriter,
  { positions }: LlamaConfig,
  mask: string | undefined,
  B: string,
): string {
  const triangle = Array.from({ length: positions ** 2 }, (_, i) =>
    Number(i % positions > Math.floor(i / positions)),
  );
  const buffer = w.initializer({
    dtype: "bool",
    shape: [positions, positions],
    data: Uint8Array.from(triangle),
  });
  const rows = w.op("Unsqueeze", [w.op("Unsqueeze", [buffer, ints(0)]), ints(1)]);
  const repeated = w.op("Tile", [w.cast(rows, "f32"), w.sizes(B, 1, 1, 1)]);
  const causal = w.op("Mul", [repeated, float(lowest)]);
  if (mask === undefined) return causal;
  const length = w.size(mask, 1);
  const part = w.slice(causal, 3, 0, length);
  const isPadding = w.op("Unsqueeze", [
    w.op("Unsqueeze", [w.op("Equal", [w.cast(mask, "f32"), float(0)]), ints(1)]),
    ints(2),
  ]);
  const both = w.op("Mul", [w.cast(w.op("Equal", [part, float(0)]), "f32"), w.cast(isPadding, "f32")]);
  const filled = w.op("Where", [w.cast(both, "bool"), float(lowest), part]);
  return w.op("Concat", [filled, w.slice(causal, 3, length, end)], { axis: 3 });
}

/** The rows of the positions of this call. */
export function bufferRows(w: TorchScriptWriter, bias: string, P: string | Tensor, T: string): string {
  const positions = w.op("Range", [P, T, int(1)]);
  return w.slice(w.op("Gather", [bias, positions], { axis: 2 }), 3, 0, T);
}
