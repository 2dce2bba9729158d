import type { Graph, Value } from "../../ir/graph.ts";
import { computedWeight, inlineLimit, inlineWeight, type WeightRef } from "../../ir/weights.ts";
import { isInteger } from "../../tensor/dtype.ts";
import { elementCount, tensor } from "../../tensor/tensor.ts";
import { evaluate } from "../evaluate.ts";
import { definePass } from "../pass.ts";

/**
 * Replaces what is known by constants: values whose elements are sizes, and regions whose leaves are constants.
 * Small results are computed now. Big ones become lazy weights, computed when they are read: that is how
 * unpacking arithmetic and the absmean chain over a weight leave the graph without a copy of the weight.
 */
export const foldConstants = definePass({
  name: "fold-constants",
  doc: "Computes what depends on constants only; big weights stay lazy.",
  async run(graph) {
    replaceKnownContents(graph);
    const isConstant = new Set<Value>();
    const known = (value: Value): boolean =>
      value.def.kind === "const" || isConstant.has(value) || (value.def.kind === "dims" && isNumbers(value));
    for (const node of graph.nodes) {
      const isPure = node.def.mutates === undefined && node.operands.length > 0;
      if (isPure && node.operands.every(known)) for (const result of node.results) isConstant.add(result);
    }
    const outputs = new Set(graph.outputs.map(({ value }) => value));
    const frontier = [...isConstant].filter(
      (value) =>
        outputs.has(value) || [...value.users].some((user) => !user.results.every((r) => isConstant.has(r))),
    );
    const b = graph.edit("fold-constants");
    for (const value of frontier) b.replace(value, b.constant(await foldValue(value)));
  },
});

const isNumbers = (value: Value): boolean => value.contents?.every((dim) => typeof dim === "number") ?? false;

/** Integer values made of sizes need no arithmetic at run time. */
function replaceKnownContents(graph: Graph): void {
  const b = graph.edit("resolve-sizes");
  for (const node of graph.nodes) {
    const value = node.results[0]!;
    const { contents, type } = value;
    if (contents === undefined) continue;
    const shape = type.shape as readonly number[];
    if (isNumbers(value))
      b.replace(value, b.constant(inlineWeight(tensor(type.dtype, shape, contents as number[]))));
    else if (type.dtype === "i64" && shape.length <= 1)
      b.replace(value, b.dims(shape.length === 0 ? contents[0]! : contents));
    else if (
      isInteger(type.dtype) &&
      type.dtype !== "i64" &&
      shape.length <= 1 &&
      node.operands[0]?.def.kind !== "dims"
    )
      b.replace(
        value,
        b("cast", { x: b.dims(shape.length === 0 ? contents[0]! : contents) }, { to: type.dtype }),
      );
  }
}

async function foldValue(value: Value): Promise<WeightRef> {
  const { dtype } = value.type;
  const shape = value.type.shape as readonly number[];
  if (elementCount(shape) <= inlineLimit) return inlineWeight(await evaluate(value));
  return foldedView(value) ?? computedWeight(describeRegion(value), dtype, shape, () => evaluate(value));
}

/** Views of one weight keep reading in parts, where a computed weight is read whole. */
function foldedView(value: Value): WeightRef | undefined {
  const node = value.node!;
  const x = node.operands[0]!;
  if (x.def.kind !== "const") return undefined;
  return node.def.view?.(x.def.data, node.attrs, {
    dtype: value.type.dtype,
    shape: value.type.shape as number[],
  });
}

/** The region as an expression over its leaves: equal texts mean equal contents. */
function describeRegion(value: Value): string {
  const names = new Map<Value, string>();
  const lines: string[] = [];
  const visit = (v: Value): string => {
    const known = names.get(v);
    if (known !== undefined) return known;
    if (v.def.kind === "const") return v.def.data.id;
    if (v.node === undefined) return `dims ${JSON.stringify(v.contents)}`;
    const args = v.node.operands.map(visit).join(", ");
    const name = `t${names.size}`;
    for (const [i, result] of v.node.results.entries()) names.set(result, i === 0 ? name : `${name}.${i}`);
    lines.push(`${name} = ${v.node.op}(${args}) ${JSON.stringify(v.node.attrs)}`);
    return names.get(v)!;
  };
  const result = visit(value);
  return `${lines.join("; ")}; ${result}`;
}
