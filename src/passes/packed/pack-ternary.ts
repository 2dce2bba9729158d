import { backends } from "../../backends/index.ts";
import { packedTernary } from "../../ir/ternary.ts";
import { definePass } from "../pass.ts";
import { mapWeights } from "./map-weights.ts";

/** Integer codes as blocks of two bits, or five to a byte; packed when written. */
export const packTernaryWeights = definePass({
  name: "pack-ternary-weights",
  doc: "Ternary codes become tq2_0 or tq1_0 blocks, where the backend has kernels for these; else they stay as they are.",
  run: (graph, { options }) =>
    backends[options.backend].packsTernary
      ? mapWeights(graph, "pack-ternary-weights", ["ternary"], (codes) =>
          codes.dtype === "i8" ? packedTernary(codes, options.weights) : codes,
        )
      : undefined,
});
