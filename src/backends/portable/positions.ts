import type { Value } from "../../ir/graph.ts";
import { addDims, type Dim, dimKey } from "../../tensor/dim.ts";
import { startOf } from "../sizes.ts";
import type { Emitter } from "./emitter.ts";
import type { PortableTensor } from "./value.ts";

/** start, start + 1, … : i64 [length]. */
export function sequence(e: Emitter, start: Dim, length: Dim): PortableTensor {
  return e.once(`sequence ${dimKey(start)} ${dimKey(length)}`, () =>
    e.op(
      "aten::arange.start_out",
      { start: e.size(start), end: e.size(addDims(start, length)), step: 1 },
      { dtype: "i64", shape: [length] },
    ),
  );
}

/** Positions of `length` tokens of which the first is at start_pos; 0 when it is left out. */
export function positions(e: Emitter, start: Value | undefined, length: Dim): PortableTensor {
  return sequence(e, startOf(start), length);
}
