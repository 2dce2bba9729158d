import { symbol } from "../../../../tensor/dim.ts";
import { gather, packedRows, rotaryTables, rotate, scatter } from "../../attention-cases.ts";
import { randomFloats, rubbish } from "../../case-data.ts";
import { defineCases, type KernelBench, type KernelCase } from "../../kernel-case.ts";
import { type RopeParams, rope } from "./kernel.ts";

type Floats = Float32Array<ArrayBuffer>;

/** x lies beside other columns; out is a tensor [1, heads, tokens, width]. */
function caseOf(
  tokens: number,
  position: number,
  heads: number,
  width: number,
  rotated = width,
  interleaved = false,
): KernelCase<RopeParams> {
  const columns = heads * width + 12;
  const x = packedRows(heads, width, 4, columns);
  const out = { tokenStride: width, headStride: tokens * width, offset: 0 };
  const first = symbol("P", 4096);
  return {
    name: `${tokens} from ${position}, ${heads} heads of ${width}${rotated < width ? `, ${rotated} rotated` : ""}${interleaved ? ", interleaved" : ""}`,
    params: {
      tokens: symbol("S"),
      heads,
      width,
      rope: { width: rotated, interleaved, first },
      x,
      out,
    },
    symbols: { S: tokens, P: position },
    inputs: () => ({
      x: randomFloats(1, tokens * columns, 3),
      ...rotaryTables(position + tokens + 1, rotated),
      out: rubbish(tokens * heads * width),
    }),
    expected: (inputs) => {
      const { x: values, cos, sin } = inputs as Record<string, Floats>;
      const elements = new Float32Array(heads * tokens * width);
      const rows = gather(values!, x, heads, tokens, width);
      const turned = rotate(
        rows,
        [heads, tokens, width],
        { cos: cos!, sin: sin! },
        { width: rotated, interleaved },
        position,
      );
      scatter(turned, elements, out, heads, tokens, width);
      return { out: { elements, tolerance: 2e-6 } };
    },
  };
}

const bench: KernelBench<RopeParams> = {
  name: "512 tokens, 20 heads of 128",
  params: {
    tokens: symbol("S"),
    heads: 20,
    width: 128,
    rope: { width: 128, interleaved: false, first: 0 },
    x: packedRows(20, 128, 0, 3840),
    out: packedRows(20, 128),
  },
  symbols: { S: 512 },
  sizes: { x: 512 * 3840 * 4, cos: 512 * 256, sin: 512 * 256, out: 512 * 2560 * 4 },
  bytes: 2 * 512 * 2560 * 4 + 2 * 512 * 256,
  operations: 2 * 512 * 2560,
};

export const ropeCases = defineCases({
  kernel: rope,
  cases: [
    caseOf(1, 0, 4, 64),
    caseOf(5, 31, 4, 64),
    caseOf(33, 100, 2, 80),
    caseOf(3, 7, 2, 80, 32),
    caseOf(3, 7, 2, 80, 20),
    caseOf(2, 64, 3, 96, 96, true),
    caseOf(4, 5, 3, 20, 12, true),
    caseOf(4, 5, 3, 20, 10, true),
    caseOf(4, 5, 3, 22, 10),
    caseOf(4, 5, 3, 21, 10, true),
    caseOf(1, 500, 20, 128),
  ],
  benches: [bench],
});
