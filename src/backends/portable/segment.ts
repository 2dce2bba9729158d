import { rowCount, rowSize, streamRows } from "../../ir/weights.ts";
import type { NamedBlob } from "../../serialize/program-writer.ts";
import { encodeElements } from "../../tensor/tensor.ts";
import type { PlacedConstant } from "./method.ts";

/** The bytes of all constants, at their offsets. They stream from the model's files. */
export function constantSegment(constants: readonly PlacedConstant[]): NamedBlob {
  const last = constants.at(-1);
  return {
    key: "constants",
    // ExecuTorch takes a segment of no bytes for one that is not there.
    size: last === undefined ? 0 : Math.max(1, last.offset + last.size),
    async *stream() {
      let written = 0;
      for (const { weight, offset, size } of constants) {
        if (offset > written) yield new Uint8Array(offset - written);
        written = offset + size;
        if (rowCount(weight) * rowSize(weight) === 0) continue;
        for await (const rows of streamRows(weight)) yield encodeElements(rows.dtype, rows.data);
      }
      if (last !== undefined && written === 0) yield new Uint8Array(1);
    },
  };
}
