import { type Builder, Graph, type Value } from "../../ir/graph.ts";
import type { OpRegistry } from "../../ir/ops/index.ts";
import { tensorType } from "../../ir/type.ts";
import type { WeightRef } from "../../ir/weights.ts";
import { symbol } from "../../tensor/dim.ts";
import type { DecoderConfig, HiddenActivation } from "./config.ts";
import type { DecoderWeights, LayerWeights, NormWeights } from "./decoder-weights.ts";
import type { LinearWeights } from "./linear.ts";
import { ropeTables } from "./rope.ts";

const activations: { readonly [A in HiddenActivation]: (b: Builder, x: Value) => Value } = {
  silu: (b, x) => b("nn.silu", { x }),
  relu2: (b, x) => b("nn.relu2", { x }),
  gelu: (b, x) => b("nn.gelu", { x }, { approximate: "none" }),
  gelu_tanh: (b, x) => b("nn.gelu", { x }, { approximate: "tanh" }),
};

/** What every layer of a decoder shares. */
interface Context {
  readonly config: DecoderConfig;
  readonly at: (name: string) => Builder;
  /** Tokens of a call, a symbol. */
  readonly length: ReturnType<typeof symbol>;
  /** i64 [1] */
  readonly startPos: Value;
  readonly cos: Value;
  readonly sin: Value;
  /** Positions that the cache holds. */
  readonly capacity: number;
}

/**
 * The graph of a decoder with its KV cache as states: `tokens` i64 [1, S] and `start_pos` i64 [1] to `logits`
 * f32 [1, S, V]. Query s stands at position start_pos + s and attends to all up to itself.
 * @param capacity the largest number of positions
 */
export function buildDecoder(
  ops: OpRegistry,
  config: DecoderConfig,
  weights: DecoderWeights,
  capacity: number,
): Graph {
  const graph = new Graph(ops);
  const b = graph.edit("checkpoint");
  const at = (name: string): Builder => b.at(`hf:${name}`);
  const length = symbol("S", capacity, 1);
  const tokens = b.input("tokens", tensorType("i64", [1, length]));
  const startPos = b.input("start_pos", tensorType("i64", [1]), [symbol("P", capacity)]);
  const tables = ropeTables(config.rope, config.headDim, capacity);
  const [cos, sin] = [b.constant(tables.cos), b.constant(tables.sin)];
  const context: Context = { config, at, length, startPos, cos, sin, capacity };

  const table = b.constant(weights.embedding);
  let x = at(weights.embeddingName)("nn.embedding", { table, ids: tokens });
  weights.layers.forEach((layer, index) => {
    const states = [0, 1].map((i) =>
      b.state(
        `kv.${index}.${i === 0 ? "key" : "value"}`,
        tensorType("f32", [1, config.keyValueHeads, capacity, config.headDim]),
      ),
    ) as [Value, Value];
    x = buildLayer(context, layer, states, x);
  });
  x = norm(context, weights.norm, x);
  const logits = weights.head
    ? linear(context, weights.head, x)
    : at("lm_head")("nn.linear", { x, weight: table });
  b.output("logits", logits);
  return graph;
}

function buildLayer(context: Context, layer: LayerWeights, states: readonly [Value, Value], x: Value): Value {
  const { config, at } = context;
  const inner = at(layer.name);
  const attention = buildAttention(context, layer, states, norm(context, layer.inputNorm, x));
  const middle = inner("add", { a: x, b: attention });
  const normed = norm(context, layer.postNorm, middle);
  const mlp = at(`${layer.name}.mlp`);
  const gate = activations[config.activation](mlp, linear(context, layer.gate, normed));
  const product = mlp("mul", { a: gate, b: linear(context, layer.up, normed) });
  const scaled = layer.mlpSubNorm ? norm(context, layer.mlpSubNorm, product) : product;
  return inner("add", { a: middle, b: linear(context, layer.down, scaled) });
}

function buildAttention(
  context: Context,
  layer: LayerWeights,
  [keyCache, valueCache]: readonly [Value, Value],
  x: Value,
): Value {
  const { config, length, startPos, cos, sin } = context;
  const { heads, keyValueHeads, headDim } = config;
  const b = context.at(`${layer.name}.self_attn`);
  /** [1, S, count·D] → [1, count, S, D] */
  const split = (projection: LinearWeights, count: number): Value => {
    const shape = b.dims([1, length, count, headDim]);
    const apart = b("reshape", { x: linear(context, projection, x), shape });
    return b("transpose", { x: apart }, { perm: [0, 2, 1, 3] });
  };
  const rotate = (value: Value, headNorm: NormWeights | undefined): Value =>
    b(
      "nn.rope",
      { x: headNorm ? norm(context, headNorm, value) : value, cos, sin, start_pos: startPos },
      { interleaved: false },
    );
  const q = rotate(split(layer.query, heads), layer.queryNorm);
  const k = rotate(split(layer.key, keyValueHeads), layer.keyNorm);
  const v = split(layer.value, keyValueHeads);
  const keys = b("kv.update", { cache: keyCache, new: k, start_pos: startPos });
  const values = b("kv.update", { cache: valueCache, new: v, start_pos: startPos });
  const attended = b(
    "nn.sdpa",
    { q, k: keys, v: values, start_pos: startPos },
    { scale: Math.fround(headDim ** -0.5), causal: true, softcap: 0, window: 0 },
  );
  const together = b("transpose", { x: attended }, { perm: [0, 2, 1, 3] });
  const merged = b("reshape", { x: together, shape: b.dims([1, length, heads * headDim]) });
  const normed = layer.attentionSubNorm ? norm(context, layer.attentionSubNorm, merged) : merged;
  return linear(context, layer.output, normed);
}

const norm = ({ at, config }: Context, weights: NormWeights, x: Value): Value =>
  rmsNorm(at(weights.name), x, weights.scale, config.normEps);

/** The epsilon is rounded as f32 arithmetic would. */
const rmsNorm = (b: Builder, x: Value, scale: WeightRef, eps: number): Value =>
  b("nn.rms_norm", { x, scale: b.constant(scale) }, { eps: Math.fround(eps) });

function linear({ at }: Context, { name, weight, ternary, bias, inputNorm }: LinearWeights, x: Value): Value {
  const b = at(name);
  const input = inputNorm ? rmsNorm(b, x, inputNorm.scale, inputNorm.eps) : x;
  const args = { x: input, weight: b.constant(weight), bias: bias && b.constant(bias) };
  if (ternary === undefined) return b("nn.linear", args);
  const { activations, group } = ternary;
  return b("bitnet.linear", { ...args, scale: b.constant(ternary.scale) }, { activations, group });
}
