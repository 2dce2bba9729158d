import { subtractDims, symbol } from "../../../../tensor/dim.ts";
import { randomFloats, rubbish } from "../../case-data.ts";
import { defineCases, type KernelCase } from "../../kernel-case.ts";
import { isSoftware } from "../operand-data.ts";
import { type CopyRowsParams, copyRows } from "./kernel.ts";

function caseOf(rows: number, width: number, of: number): KernelCase<CopyRowsParams> {
  return {
    name: `the last ${rows} rows of ${of} x ${width}`,
    params: { rows, width, first: subtractDims(symbol("S", 4096, rows), rows) },
    symbols: { S: of },
    on: isSoftware,
    inputs: () => ({ x: randomFloats(1, of * width), out: rubbish(rows * width) }),
    expected: ({ x }) => ({ out: { elements: x!.slice((of - rows) * width) } }),
  };
}

export const copyRowsCases = defineCases({
  kernel: copyRows,
  cases: [caseOf(1, 300, 5), caseOf(1, 7, 1), caseOf(3, 65, 8)],
  benches: [],
});
