import type { Value } from "../../ir/graph.ts";
import type { TensorType } from "../../ir/type.ts";
import { capacityOf } from "../lengths.ts";
import { definePass } from "../pass.ts";

/** A cache that an exporter gave a fixed size has more rows than a program with fewer positions needs. */
export const fitCaches = definePass({
  name: "fit-caches",
  doc: "Caches have as many rows as the program has room for positions.",
  run(graph) {
    const capacity = capacityOf(graph);
    const fitted = new Map<Value, TensorType>();
    for (const state of graph.states) {
      const { dtype, shape } = state.type;
      const [batch, heads, rows, width] = shape;
      const isReadInPlace = [...state.users].every(
        ({ op, results }) =>
          op === "kv.update" && [...results[0]!.users].every(({ args }) => "start_pos" in args),
      );
      if (shape.length === 4 && (rows as number) > capacity && isReadInPlace)
        fitted.set(state, { dtype, shape: [batch!, heads!, capacity, width!] });
    }
    if (fitted.size > 0) graph.edit("fit-caches").reinfer(fitted);
  },
});
