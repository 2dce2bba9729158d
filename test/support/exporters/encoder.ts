import type { Source } from "../../../src/tensor/source.ts";
import { float, int, ints, OnnxWriter } from "../onnx-writer.ts";
import { Random, transposed } from "./weights.ts";

const [vocab, hidden, heads] = [67, 32, 4];

/** An encoder of one attention layer as BERT has it, with what it is used for: nothing here is a decoder. */
export function encoder(returns: "hidden states" | "scores of tokens" | "scores of classes"): Source {
  const w = new OnnxWriter({ opset: 17 });
  const random = new Random(4);
  const [ids, mask, segments] = ["input_ids", "attention_mask", "token_type_ids"].map((name) =>
    w.input(name, "i64", ["batch", "sequence"]),
  ) as [string, string, string];
  const words = random.floats([vocab, hidden], 1);
  const length = w.op("Gather", [w.op("Shape", [ids]), int(1)]);
  const embedded = [
    w.op("Gather", [words, ids]),
    w.op("Gather", [random.floats([2, hidden], 1), segments]),
    w.op("Gather", [random.floats([48, hidden], 1), w.op("Range", [int(0), length, int(1)])]),
  ].reduce((a, b) => w.op("Add", [a, b]));
  const linear = (x: string, outputs = hidden) => w.op("MatMul", [x, random.floats([hidden, outputs], 0.3)]);
  const perHead = (x: string) =>
    w.op("Transpose", [w.op("Reshape", [x, ints(0, 0, heads, hidden / heads)])], { perm: [0, 2, 1, 3] });
  const [q, k, v] = [linear(embedded), linear(embedded), linear(embedded)].map(perHead) as [
    string,
    string,
    string,
  ];
  const kept = w.op("Cast", [w.op("Unsqueeze", [mask, ints(1, 2)])], { to: 1 });
  const bias = w.op("Mul", [w.op("Sub", [float(1), kept]), float(-10000)]);
  const product = w.op("MatMul", [q, w.op("Transpose", [k], { perm: [0, 1, 3, 2] })]);
  const scores = w.op("Add", [w.op("Div", [product, float(Math.sqrt(hidden / heads))]), bias]);
  const mixed = w.op("Transpose", [w.op("MatMul", [w.op("Softmax", [scores], { axis: -1 }), v])], {
    perm: [0, 2, 1, 3],
  });
  const states = w.op("Add", [embedded, linear(w.op("Reshape", [mixed, ints(0, 0, hidden)]))]);
  if (returns === "hidden states")
    w.output("last_hidden_state", states, "f32", ["batch", "sequence", hidden]);
  if (returns === "scores of tokens")
    w.output("logits", w.op("MatMul", [states, w.initializer(transposed(words))]), "f32", [
      "batch",
      "sequence",
      vocab,
    ]);
  if (returns === "scores of classes")
    w.output("logits", linear(w.op("Gather", [states, int(0)], { axis: 1 }), 2), "f32", ["batch", 2]);
  return w.source;
}
