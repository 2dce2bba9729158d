import { isList, type Node, type Value } from "../ir/graph.ts";
import type { Args } from "../ir/ops/op.ts";
import { readWeight } from "../ir/weights.ts";
import { evaluateDim, symbolsOf } from "../tensor/dim.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";

/** Values of symbols and of graph inputs to evaluate with. */
export interface Bindings {
  readonly symbols?: ReadonlyMap<string, number>;
  readonly inputs?: ReadonlyMap<Value, Tensor>;
}

/** The nodes that a value depends on, in execution order. */
export function backwardSlice(value: Value): readonly Node[] {
  const order: Node[] = [];
  const done = new Set<Node>();
  const stack: { node: Node; isExpanded: boolean }[] = value.node
    ? [{ node: value.node, isExpanded: false }]
    : [];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    if (done.has(top.node)) continue;
    if (top.isExpanded) {
      done.add(top.node);
      order.push(top.node);
      continue;
    }
    stack.push({ node: top.node, isExpanded: true });
    for (const { node } of top.node.operands)
      if (node && !done.has(node)) stack.push({ node, isExpanded: false });
  }
  return order;
}

/** The inputs, states, constants and sizes that a value depends on. */
export function leavesOf(value: Value): ReadonlySet<Value> {
  if (value.node === undefined) return new Set([value]);
  return new Set(
    backwardSlice(value).flatMap((node) => node.operands.filter((operand) => operand.node === undefined)),
  );
}

/**
 * Computes a value with the reference kernels. Intermediate results are let go after their last use, so that
 * evaluating a chain over a big weight holds a few tensors of its size and no more.
 * @throws RangeError when an input or a symbol has no binding
 */
export async function evaluate(value: Value, bindings: Bindings = {}): Promise<Tensor> {
  const slice = backwardSlice(value);
  const usesLeft = new Map<Value, number>();
  for (const node of slice)
    for (const operand of node.operands) usesLeft.set(operand, (usesLeft.get(operand) ?? 0) + 1);
  usesLeft.set(value, (usesLeft.get(value) ?? 0) + 1);
  const tensors = new Map<Value, Tensor>();

  const fetch = async (operand: Value): Promise<Tensor> => {
    const found = tensors.get(operand) ?? (await evaluateLeaf(operand, bindings));
    const left = usesLeft.get(operand)! - 1;
    usesLeft.set(operand, left);
    if (left > 0) tensors.set(operand, found);
    else tensors.delete(operand);
    return found;
  };
  for (const node of slice) {
    const args: Record<string, Tensor | Tensor[]> = {};
    for (const [name, arg] of Object.entries(node.args)) {
      if (arg === undefined) continue;
      if (isList(arg)) {
        const list: Tensor[] = [];
        for (const item of arg) list.push(await fetch(item));
        args[name] = list;
      } else args[name] = await fetch(arg);
    }
    const results = node.def.kernel(args as Args<string, Tensor>, node.attrs);
    node.results.forEach((result, i) => {
      if (usesLeft.has(result)) tensors.set(result, results[i]!);
    });
  }
  return fetch(value);
}

async function evaluateLeaf(value: Value, { symbols = new Map(), inputs }: Bindings): Promise<Tensor> {
  const { def } = value;
  if (def.kind === "const") return readWeight(def.data);
  const given = inputs?.get(value);
  if (given) return given;
  const { contents } = value;
  const unknown = new Set(
    contents?.flatMap((dim) => [...symbolsOf(dim)]).filter((name) => !symbols.has(name)),
  );
  if (contents !== undefined && unknown.size === 0) {
    const shape = value.type.shape.map((dim) => evaluateDim(dim, symbols));
    return tensor(
      value.type.dtype,
      shape,
      contents.map((dim) => evaluateDim(dim, symbols)),
    );
  }
  const name = def.kind === "input" || def.kind === "state" ? def.name : [...unknown].join(", ");
  throw new RangeError(`${name} has no value here`);
}
