import type { Node, Value } from "../../../ir/graph.ts";
import { multiplyDims } from "../../../tensor/dim.ts";
import { type Decomposition, needsF32, one } from "../decomposition.ts";
import type { Emitter } from "../emitter.ts";
import { positions } from "../positions.ts";
import type { PortableTensor } from "../value.ts";

/** The table's rows for the tokens of x, [S, R/2] or [B, 1, S, R/2]: what broadcasts to [B, H, S, R/2]. */
function tableRows(e: Emitter, node: Node, table: Value): PortableTensor {
  const all = e.tensor(table);
  const start = node.optional("start_pos");
  const length = node.arg("x").type.shape[2]!;
  if (all.shape.length === 3) {
    const [batch, tokens, width] = all.shape;
    const shape = [batch!, 1, tokens!, width!];
    return e.op("aten::unsqueeze_copy.out", { self: all, dim: 1 }, { dtype: all.dtype, shape });
  }
  const index = positions(e, start, length);
  return e.once(`rows ${all.id} ${index.id}`, () =>
    e.op(
      "aten::index_select.out",
      { self: all, dim: 0, index },
      { dtype: all.dtype, shape: [length, all.shape[1]!] },
    ),
  );
}

function rope(e: Emitter, node: Node): PortableTensor {
  const x = e.tensor(node.arg("x"));
  const cos = tableRows(e, node, node.arg("cos"));
  const sin = tableRows(e, node, node.arg("sin"));
  const half = cos.shape.at(-1) as number;
  const rotated = 2 * half;
  const width = x.shape[3] as number;
  const isInterleaved = node.attrs.interleaved === true;
  const x0 = isInterleaved ? e.slice(x, 3, 0, rotated, half, 2) : e.slice(x, 3, 0, half, half);
  const x1 = isInterleaved ? e.slice(x, 3, 1, rotated, half, 2) : e.slice(x, 3, half, rotated, half);
  const times = (a: PortableTensor, b: PortableTensor) => e.op("aten::mul.out", { self: a, other: b }, a);
  const y0 = e.op("aten::sub.out", { self: times(x0, cos), other: times(x1, sin), alpha: 1 }, x0);
  const y1 = e.op("aten::add.out", { self: times(x1, cos), other: times(x0, sin), alpha: 1 }, x0);
  const rest = rotated < width ? [e.slice(x, 3, rotated, width, width - rotated)] : [];
  if (!isInterleaved) return e.op("aten::cat.out", { tensors: [y0, y1, ...rest], dim: 3 }, x);
  const pairs = [y0, y1].map((y) =>
    e.op("aten::unsqueeze_copy.out", { self: y, dim: 4 }, { dtype: y.dtype, shape: [...y.shape, 1] }),
  );
  const type = { dtype: x.dtype, shape: [...y0.shape, 2] };
  const shape = x.shape.with(3, multiplyDims(half, 2));
  const turned = e.view(e.op("aten::cat.out", { tensors: pairs, dim: 4 }, type), shape);
  return rest.length === 0 ? turned : e.op("aten::cat.out", { tensors: [turned, ...rest], dim: 3 }, x);
}

export const rotation = { "nn.rope": one(rope, needsF32("x", "cos", "sin")) } satisfies Record<
  string,
  Decomposition
>;
