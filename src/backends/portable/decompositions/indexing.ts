import type { Node } from "../../../ir/graph.ts";
import { productOf } from "../../../tensor/dim.ts";
import { type Decomposition, one } from "../decomposition.ts";
import type { Emitter } from "../emitter.ts";
import { sequence } from "../positions.ts";
import type { PortableTensor } from "../value.ts";
import {
  axisOf,
  indicesFromStart,
  knownIndices,
  refuseEmptyTuples,
  signedIndices,
  tupleParts,
} from "./indices.ts";

/** Of the two kernels that take whole slices only `index` counts negative indices from the end. */
function gather(e: Emitter, node: Node): PortableTensor {
  const x = e.tensor(node.arg("x"));
  const indices = node.arg("indices");
  const axis = axisOf(node, x);
  const count = productOf(indices.type.shape);
  const type = { dtype: x.dtype, shape: x.shape.with(axis, count) };
  const known = knownIndices(e, indices, x.shape[axis]!);
  const index = e.view(known ?? signedIndices(e, indices), [count]);
  const others = Array.from({ length: axis }, () => undefined);
  const rows =
    known === undefined
      ? e.op("aten::index.Tensor_out", { self: x, indices: [...others, index] }, type)
      : e.op("aten::index_select.out", { self: x, dim: axis, index }, type);
  return e.view(rows, node.results[0]!.type.shape);
}

function gatherElements(e: Emitter, node: Node): PortableTensor {
  const x = e.tensor(node.arg("x"));
  const dim = axisOf(node, x);
  const index = indicesFromStart(e, node.arg("indices"), x.shape[dim]!);
  return e.op("aten::gather.out", { self: x, dim, index, sparse_grad: false }, node.results[0]!.type);
}

function gatherBlocks(e: Emitter, node: Node): PortableTensor {
  const x = e.tensor(node.arg("x"));
  const indices = node.arg("indices");
  const batch = node.attrs.batch_dims as number;
  const outer = indices.type.shape.slice(0, -1);
  const shape = batch === 0 ? [productOf(outer)] : outer;
  const places = shape.slice(0, batch).map((size, axis) => {
    const along = shape.map((_, i) => (i === axis ? size : 1));
    return e.view(sequence(e, 0, size), along);
  });
  const parts = [...places, ...tupleParts(e, indices, shape)];
  const block = x.shape.slice(parts.length);
  const type = { dtype: x.dtype, shape: [...shape, ...block] };
  const blocks = e.op("aten::index.Tensor_out", { self: x, indices: parts }, type);
  return e.view(blocks, node.results[0]!.type.shape);
}

const countOf = ({ attrs }: Node): string => attrs.size as string;
/** The kernel gives a row for each element, [size, rank]; how many there are says a size of the graph. */
function nonzero(e: Emitter, node: Node): PortableTensor {
  const { dtype, shape } = node.results[0]!.type;
  const found = e.op(
    "aten::nonzero.out",
    { self: e.tensor(node.arg("x")) },
    { dtype, shape: shape.toReversed() },
  );
  e.measure(countOf(node), found, 0);
  return e.permute(found, [1, 0]);
}

export const indexing = {
  gather: one(gather),
  gather_elements: one(gatherElements),
  gather_nd: one(gatherBlocks, refuseEmptyTuples),
  nonzero: { ...one(nonzero), measures: countOf },
} satisfies Record<string, Decomposition>;
