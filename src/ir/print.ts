import { type Dim, dimKey, symbolBounds } from "../tensor/dim.ts";
import { sha256Hex } from "../tensor/sha256.ts";
import { elementCount } from "../tensor/tensor.ts";
import { type Graph, isList, type Node, type Value } from "./graph.ts";
import type { AttrValue } from "./ops/op.ts";
import { formatType, type TensorType } from "./type.ts";
import { inlineLimit, numberText, type WeightRef } from "./weights.ts";

/** Elements of a constant that the text shows; the others are named. */
export const shownElements = 16;

export interface PrintOptions {
  /**
   * Leaves out where nodes come from, which weights they hold and whether two small constants happen to be
   * equal: what remains is the structure.
   */
  readonly structure?: boolean;
  /** `false` leaves out where nodes come from. */
  readonly provenance?: boolean;
}

/**
 * A graph as text, one line a value:
 *
 *     symbol S 1..512
 *     %0 = input "tokens" : i64[1, S]
 *     %1 = const f32[1] {0.5}
 *     %2 = const @"model.safetensors[8+1024]" : f32[4, 64]
 *     %3 = dims [1, S, 4] : i64[3]
 *     %4 = nn.linear(x: %0, weight: %2) : f32[1, S, 4]  # onnx:/lm_head < fuse-linear
 *     output "logits" %4
 */
export function printGraph(graph: Graph, options: PrintOptions = {}): string {
  const names = new Map<Value, string>();
  const symbols = new Map<string, { min: number; max: number }>();
  const lines: string[] = [];
  let named = 0;
  const noteType = (type: TensorType) => {
    for (const dim of type.shape) symbolBounds(dim, symbols);
  };
  const leaf = (value: Value): string => {
    const { def, type } = value;
    if (def.kind === "const")
      return options.structure ? `const : ${formatType(type)}` : constantText(def.data);
    if (def.kind === "dims") return `dims ${listText(value.contents ?? [])} : ${formatType(type)}`;
    if (def.kind === "node") throw new Error("a node is not a leaf");
    const contents = value.contents ? ` = ${listText(value.contents)}` : "";
    return `${def.kind} ${JSON.stringify(def.name)}${contents} : ${formatType(type)}`;
  };
  const define = (value: Value) => {
    if (names.has(value)) return;
    noteType(value.type);
    if (options.structure && isSmall(value)) {
      names.set(value, formatType(value.type));
      return;
    }
    names.set(value, `%${named++}`);
    for (const dim of value.contents ?? []) symbolBounds(dim, symbols);
    lines.push(`${names.get(value)} = ${leaf(value)}`);
  };
  for (const value of [...graph.inputs, ...graph.states]) define(value);
  for (const node of graph.nodes) {
    for (const operand of node.operands) if (operand.node === undefined) define(operand);
    for (const result of node.results) {
      names.set(result, `%${named++}`);
      noteType(result.type);
    }
    lines.push(nodeText(node, names, options));
  }
  for (const { name, value } of graph.outputs) {
    if (value.node === undefined) define(value);
    lines.push(`output ${JSON.stringify(name)} ${names.get(value)}`);
  }
  const header = [...symbols]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { min, max }]) => `symbol ${name} ${min}..${max}`);
  return `${[...header, ...lines].join("\n")}\n`;
}

/**
 * SHA-256 of the text without provenance, in hexadecimal. Equal for graphs that do the same to the same weights;
 * which weights large ones are, their ids say, and not their elements.
 */
export const hashGraph = (graph: Graph): string =>
  sha256Hex(new TextEncoder().encode(printGraph(graph, { provenance: false })));

const isSmall = ({ def }: Value): boolean =>
  def.kind === "const" && elementCount(def.data.shape) <= inlineLimit;

export const listText = (dims: readonly Dim[]): string => `[${dims.map(dimKey).join(", ")}]`;

function constantText(data: WeightRef): string {
  const type = formatType({ dtype: data.dtype, shape: data.shape });
  if (data.inline && data.inline.data.length <= shownElements)
    return `const ${type} {${Array.from(data.inline.data, numberText).join(", ")}}`;
  return `const @${JSON.stringify(data.id)} : ${type}`;
}

function nodeText(node: Node, names: ReadonlyMap<Value, string>, options: PrintOptions): string {
  const args = Object.entries(node.args).flatMap(([name, arg]) => {
    if (arg === undefined) return [];
    const text = isList(arg) ? `[${arg.map((v) => names.get(v)).join(", ")}]` : names.get(arg);
    return [`${name}: ${text}`];
  });
  const attrs = Object.keys(node.attrs).length === 0 ? "" : ` ${attrsText(node.attrs)}`;
  const { source, by } = node.loc;
  const isShown = !options.structure && options.provenance !== false && source !== "";
  const place = isShown ? `  # ${[source, ...by].map(placeText).join(" < ")}` : "";
  const results = node.results.map((result) => names.get(result)).join(", ");
  return `${results} = ${node.op}(${args.join(", ")})${attrs} : ${node.results.map((r) => formatType(r.type)).join(", ")}${place}`;
}

/** As it is, or in quotes where it could be taken for something else. */
export const placeText = (name: string): string => (/^[^\s"<]+$/.test(name) ? name : JSON.stringify(name));

/** JSON in which the numbers that JSON lacks are strings `@number …`; other strings that begin so get another `@`. */
export const attrsText = (attrs: Readonly<Record<string, AttrValue>>): string =>
  JSON.stringify(attrs, (_, value) => {
    if (typeof value === "string") return value.startsWith("@") ? `@${value}` : value;
    const isInJson = typeof value !== "number" || (Number.isFinite(value) && !Object.is(value, -0));
    return isInJson ? value : `@number ${numberText(value)}`;
  });
