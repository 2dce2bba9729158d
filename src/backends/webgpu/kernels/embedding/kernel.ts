import { ceilDivideDims, type Dim } from "../../../../tensor/dim.ts";
import { type DenseStorage, denseChunk } from "../../floats.ts";
import { defineKernel } from "../../kernel.ts";
import { shader } from "../../wgsl.ts";

export interface EmbeddingParams {
  /** Tokens. */
  readonly rows: Dim;
  /** Elements of a row of the table. */
  readonly width: number;
  /** Rows of the whole table. */
  readonly vocabulary: number;
  /** The first row that the binding shows. */
  readonly first: number;
  /** Rows that the binding shows. */
  readonly count: number;
  readonly storage: DenseStorage;
}

const workgroupSize = 64;

export const embedding = defineKernel<EmbeddingParams>({
  name: "embedding",
  doc: [
    "nn.embedding: out = table[ids] (· scales[ids]); ids value u32 [rows], out value f32 [rows, width].",
    "`weights` constant: rows first … first + count - 1 of the table, as `storage` says, from the binding's first byte on;",
    "`scales` constant f32 [vocabulary], only where the storage is q8.",
    "Only rows of out whose id is among them are written; where first is 0 also those whose id is in no part of the table: with zeros.",
  ].join(" "),
  class: "movement",
  build({ rows, width, vocabulary, first, count, storage }, target) {
    const chunk = denseChunk(storage, width, target, 4);
    const chunks = width / chunk.elements;
    const type = chunk.elements > 1 ? "vec4<f32>" : "f32";
    const floats = { type: "array<f32>", access: "constant" } as const;
    return shader(target, {
      bindings: {
        ids: { type: "array<u32>", access: "value" },
        weights: { type: chunk.type, access: "constant" },
        ...(storage === "q8" && { scales: floats }),
        out: { type: `array<${type}>`, access: "value" },
      },
      workgroupSize,
      workgroups: [ceilDivideDims(chunks, workgroupSize), rows, 1],
      declarations: `const first = ${first}u;\nconst chunks = ${chunks}u;\n${chunk.declarations}`,
      body: `
  let i = workgroup.x * ${workgroupSize}u + local;
  let id = ids[workgroup.y];
  let at = workgroup.y * chunks + i;
  if (i < chunks && id >= first && id < ${first + count}u) {
    let loaded = chunk_at((id - first) * chunks + i);
    out[at] = ${chunk.parts("loaded")[0]}${storage === "q8" ? " * scales[id]" : ""};
  }${
    first === 0
      ? `
  if (i < chunks && id >= ${vocabulary}u) { out[at] = ${type}(); }`
      : ""
  }`,
    });
  },
});
