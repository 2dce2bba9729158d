import type { Tensor } from "../../../src/tensor/tensor.ts";
import { float, type OnnxWriter } from "../onnx-writer.ts";
import type { LinearWriter } from "./linears.ts";
import type { Layer, LlamaWeights } from "./weights.ts";

/** How an exporter writes the parts of a decoder. */
export interface DecoderStyle {
  readonly linear: LinearWriter;
  norm(x: string, scale: Tensor): string;
  /** From the normed [B, S, hidden] to the heads side by side, [B, S, H·D]. */
  attention(x: string, layer: Layer, index: number): string;
  /** Adds to the residual stream and norms the sum. */
  addAndNorm?(x: string, delta: string, scale: Tensor): { sum: string; normed: string };
  /** The head, where it is not just another linear. */
  head?(x: string): string;
  activation?(gate: string): string;
}

/** A decoder from the embedded tokens [B, S, hidden] to the logits. */
export function writeDecoder(
  w: OnnxWriter,
  weights: LlamaWeights,
  style: DecoderStyle,
  embedded: string,
): string {
  const { config, layers, norm, head } = weights;
  const addAndNorm =
    style.addAndNorm?.bind(style) ??
    ((x: string, delta: string, scale: Tensor) => {
      const sum = w.op("Add", [x, delta]);
      return { sum, normed: style.norm(sum, scale) };
    });
  const activation =
    style.activation?.bind(style) ?? ((gate: string) => activate(w, gate, config.activation));
  let stream = { sum: embedded, normed: style.norm(embedded, layers[0]!.inputNorm) };
  layers.forEach((layer, i) => {
    const heads = style.attention(stream.normed, layer, i);
    const mixed = layer.attentionSubNorm ? style.norm(heads, layer.attentionSubNorm) : heads;
    const attended = addAndNorm(stream.sum, style.linear(w, mixed, layer.o), layer.postNorm);
    const gate = activation(style.linear(w, attended.normed, layer.gate));
    const product = w.op("Mul", [gate, style.linear(w, attended.normed, layer.up)]);
    const narrowed = layer.mlpSubNorm ? style.norm(product, layer.mlpSubNorm) : product;
    stream = addAndNorm(
      attended.sum,
      style.linear(w, narrowed, layer.down),
      layers[i + 1]?.inputNorm ?? norm,
    );
  });
  return style.head?.(stream.normed) ?? style.linear(w, stream.normed, { weight: head });
}

export function activate(w: OnnxWriter, x: string, kind: "silu" | "relu2" | "gelu"): string {
  switch (kind) {
    case "silu":
      return w.op("Mul", [x, w.op("Sigmoid", [x])]);
    case "relu2":
      return w.op("Pow", [w.op("Relu", [x]), float(2)]);
    case "gelu": {
      const cube = w.op("Mul", [w.op("Pow", [x, float(3)]), float(0.044715)]);
      const inner = w.op("Mul", [w.op("Add", [x, cube]), float(Math.sqrt(2 / Math.PI))]);
      const gate = w.op("Add", [w.op("Tanh", [inner]), float(1)]);
      return w.op("Mul", [w.op("Mul", [x, float(0.5)]), gate]);
    }
  }
}
