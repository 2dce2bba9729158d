import type { Value } from "../../../ir/graph.ts";
import { bitsPerElement } from "../../../tensor/dtype.ts";
import type { DenseStorage } from "../floats.ts";
import { denseGemm } from "../kernels/dense-gemm/kernel.ts";
import { denseGemv } from "../kernels/dense-gemv/kernel.ts";
import { embedding as embeddingKernel } from "../kernels/embedding/kernel.ts";
import { constantRows, type Slice } from "./buffers.ts";
import type { Emitter } from "./emitter.ts";
import { groupOfOne, type Lowering } from "./group.ts";

/** Tokens up to which each one reads the weights anew, rather than all of them going through tiles. */
const fewRows = 2;

export const embedding: Lowering = {
  name: "embedding",
  doc: "Rows of a table: one dispatch, or one for each part of a table that is larger than a binding.",
  match(node) {
    if (node.op !== "nn.embedding") return undefined;
    const [table, scale] = [node.arg("table"), node.optional("scale")];
    const storage = storageOf(table, scale);
    if (typeof storage !== "object") return storage;
    return groupOfOne("embedding", node, (emitter) => {
      const [vocabulary, width] = table.type.shape as readonly [number, number];
      const ids = node.arg("ids");
      const rows = emitter.rowCount(node.results[0]!);
      const out = emitter.define(node.results[0]!);
      const scales = scale && { scales: emitter.read(scale) };
      for (const { first, count, slice } of partsOf(emitter, table)) {
        const params = { rows, width, vocabulary, first, count, storage: storage.name };
        emitter.dispatch(
          embeddingKernel,
          params,
          { ids: emitter.read(ids), weights: slice, ...scales, out },
          node,
        );
      }
    });
  },
};

export const linear: Lowering = {
  name: "linear",
  doc: "A dense matrix: one dispatch, or one for each part of a matrix that is larger than a binding.",
  match(node) {
    if (node.op !== "nn.linear") return undefined;
    const [weight, scale, bias] = [node.arg("weight"), node.optional("scale"), node.optional("bias")];
    const storage = storageOf(weight, scale);
    if (typeof storage !== "object") return storage;
    return groupOfOne("linear", node, (emitter) => {
      const [columns, depth] = weight.type.shape as readonly [number, number];
      const x = node.arg("x");
      const rows = emitter.rowCount(x);
      const kernel = typeof rows === "number" && rows <= fewRows ? denseGemv : denseGemm;
      const out = emitter.define(node.results[0]!);
      const vectors = {
        ...(scale && { scales: emitter.read(scale) }),
        ...(bias && { bias: emitter.read(bias) }),
      };
      for (const { first, count, slice } of partsOf(emitter, weight)) {
        const params = {
          rows,
          rowOffset: 0,
          depth,
          storage: storage.name,
          bias: bias !== undefined,
          first,
          columns: count,
          outputFirst: first,
          outputColumns: columns,
        };
        emitter.dispatch(kernel, params, { x: emitter.read(x), weights: slice, ...vectors, out }, node);
      }
    });
  },
};

const storages: Readonly<Record<string, DenseStorage>> = { f32: "f32", f16: "f16", bf16: "bf16" };

/** How a weight is stored, or why no kernel reads it. */
function storageOf({ def, type }: Value, scale: Value | undefined): { readonly name: DenseStorage } | string {
  if (def.kind !== "const" || (scale !== undefined && scale.def.kind !== "const"))
    return "Its weight is computed while the program runs.";
  const name = scale === undefined ? storages[type.dtype] : type.dtype === "i8" ? "q8" : undefined;
  return name === undefined ? `There is no GPU kernel for weights in ${type.dtype}.` : { name };
}

/** A weight in parts that a binding can show. Parts begin at words: their rows are a multiple of four. */
function partsOf(
  emitter: Emitter,
  weight: Value,
): readonly { readonly first: number; readonly count: number; readonly slice: Slice }[] {
  const [rows, width] = weight.type.shape as readonly [number, number];
  const rowBytes = (width * bitsPerElement(weight.type.dtype)) / 8;
  const most = Math.max(4, Math.floor(emitter.target.maxBindingSize / rowBytes / 4) * 4);
  const whole = constantRows(weight);
  return Array.from({ length: Math.ceil(rows / most) }, (_, i) => {
    const first = i * most;
    const count = Math.min(most, rows - first);
    const part = { ...whole, from: first * rowBytes, size: count * rowBytes };
    return { first, count, slice: emitter.constants([part]) };
  });
}
