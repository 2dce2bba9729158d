import type { Node } from "../../../ir/graph.ts";
import { f32 } from "../../../ir/type.ts";
import { type Dim, dimKey, maxOf } from "../../../tensor/dim.ts";
import { firstOf } from "../../refusal.ts";
import { startOf } from "../../sizes.ts";
import { dataOf } from "../constants.ts";
import type { Emitter } from "../emitter.ts";
import { needsConstants, type VulkanLowering } from "../lowering.ts";
import type { VulkanTensor } from "../value.ts";
import { repeatHalves } from "../weights.ts";

/** A rotation that waits for another with the same angles: the op turns queries and keys at once. */
interface Waiting {
  readonly node: Node;
  isDone: boolean;
}

/** What has to be the same in two rotations for one op to do both. */
function anglesOf(node: Node): string {
  const tables = ["cos", "sin"].map((name) => node.arg(name).id);
  const [, , length, width] = node.arg("x").type.shape as readonly [Dim, Dim, Dim, Dim];
  return [...tables, dimKey(startOf(node.optional("start_pos"))), dimKey(length), dimKey(width)].join();
}

/** Rotates now what waits, or lets this one wait. Queries come first in models, and the op wants as many heads there. */
function rope(e: Emitter, node: Node): void {
  const waiting = e.once(`rotations ${anglesOf(node)}`, (): { first: Waiting | undefined } => ({
    first: undefined,
  }));
  const { first } = waiting;
  const heads = ({ node: { results } }: Waiting) => results[0]!.type.shape[1] as number;
  const own: Waiting = { node, isDone: false };
  if (first !== undefined && !first.isDone && heads(first) >= heads(own)) {
    rotate(e, first, own);
    return;
  }
  waiting.first = own;
  e.bindLater(node.results[0]!, () => {
    rotate(e, own);
  });
}

/** A rotation alone turns its input twice. */
function rotate(e: Emitter, first: Waiting, second = first): void {
  const [cos, sin] = ["cos", "sin"].map((name) => table(e, first.node, name));
  const rotated = cos!.shape[1]!;
  const parts = [first, second].map(({ node }) => {
    const x = e.swapped(node.arg("x"));
    return { x, turned: sliceLast(e, x, 0, rotated), rest: sliceLast(e, x, rotated, x.shape[3]!) };
  });
  const turned = e.ops(
    "et_vk.apply_rotary_emb_hf.default",
    {
      xq: parts[0]!.turned!,
      xk: parts[1]!.turned!,
      freqs_cos: cos!,
      freqs_sin: sin!,
      start_pos: e.size(startOf(first.node.optional("start_pos"))),
    },
    parts.map(({ turned }) => turned!),
  );
  for (const [i, rotation] of [first, second].entries()) {
    if (rotation.isDone) continue;
    rotation.isDone = true;
    const { x, rest } = parts[i]!;
    const whole =
      rest === undefined ? turned[i]! : e.op("aten.cat.default", { tensors: [turned[i]!, rest], dim: -1 }, x);
    e.bindSwapped(rotation.node.results[0]!, whole);
  }
}

/** Elements `from` to `to` of the last axis; undefined where there is none. */
function sliceLast(e: Emitter, x: VulkanTensor, from: Dim, to: Dim): VulkanTensor | undefined {
  const [start, end, width] = [from, to, x.shape.at(-1)!] as [number, number, number];
  if (start === end) return undefined;
  if (start === 0 && end === width) return x;
  const args = { self: x, dim: x.shape.length - 1, start, end, step: 1 };
  return e.op("aten.slice_copy.Tensor", args, f32(x.shape.with(-1, end - start)));
}

/** cos or sin [T, R/2] in memory as [T, R]. */
const table = (e: Emitter, node: Node, name: string): VulkanTensor =>
  e.resident(repeatHalves(e.constant(dataOf(node, name)).weight));

function refuseRope(node: Node): string | undefined {
  const [rows, half] = node.arg("cos").type.shape as readonly [number, number];
  const [batch, , length] = node.arg("x").type.shape as readonly [Dim, Dim, Dim, Dim];
  const start = node.optional("start_pos");
  if (node.attrs.interleaved === true) return "apply_rotary_emb_hf turns halves, not neighbours";
  if (node.arg("cos").type.shape.length !== 2) return "cos and sin must be tables of all positions";
  if ((2 * half) % 8 !== 0)
    return `apply_rotary_emb_hf turns elements by eights, and ${2 * half} are to be turned`;
  if (batch !== 1) return "apply_rotary_emb_hf takes one sequence";
  if (maxOf(length) > rows) return `its table has ${rows} rows, and there may be ${maxOf(length)} tokens`;
  if (start !== undefined && start.contents?.length !== 1) return "start_pos must be known as a size";
  return undefined;
}

export const rotation = {
  "nn.rope": { emit: rope, refuse: firstOf(needsConstants("cos", "sin"), refuseRope) },
} satisfies Record<string, VulkanLowering>;
