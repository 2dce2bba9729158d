import { embedding as reference } from "../../../../runtime/cpu/kernels/linear.ts";
import { symbol } from "../../../../tensor/dim.ts";
import { tensor } from "../../../../tensor/tensor.ts";
import { type DenseStorage, denseStorages, rowBytes } from "../../floats.ts";
import { defineCases, type KernelBench, type KernelCase } from "../../kernel-case.ts";
import { denseData } from "../dense-data.ts";
import { isSoftware } from "../operand-data.ts";
import { type EmbeddingParams, embedding } from "./kernel.ts";

const vocabulary = 19;
const unknown = 0x80000001;

function caseOf(
  storage: DenseStorage,
  width: number,
  ids: readonly number[],
  first = 0,
  count = vocabulary,
): KernelCase<EmbeddingParams> {
  const data = () => denseData(5, storage, vocabulary, width);
  const untouched = () => new Float32Array(ids.length * width).fill(-3);
  return {
    name: `${storage} rows ${first} to ${first + count - 1} of ${vocabulary} x ${width}, ids ${ids.join(" ")}`,
    params: { rows: symbol("S"), width, vocabulary, first, count, storage },
    symbols: { S: ids.length },
    on: isSoftware,
    inputs() {
      const { words, scale } = data();
      return {
        ids: Uint32Array.from(ids),
        weights: words(first, count),
        ...(scale && { scales: scale.data as Float32Array<ArrayBuffer> }),
        out: untouched(),
      };
    },
    expected() {
      const { weight, scale } = data();
      const out = untouched();
      ids.forEach((id, row) => {
        const at = row * width;
        if (id >= vocabulary && first === 0) out.fill(0, at, at + width);
        if (id < first || id >= first + count) return;
        const [result] = reference({ table: weight, ids: tensor("i64", [1], [id]), scale }, {});
        out.set(result!.data, at);
      });
      return { out: { elements: out } };
    },
  };
}

function bench(storage: DenseStorage, rows: number): KernelBench<EmbeddingParams> {
  const [width, entries] = [2560, 128256];
  const table = entries * rowBytes(storage, width);
  return {
    name: `${storage} ${rows} of ${entries} x ${width}`,
    params: { rows, width, vocabulary: entries, first: 0, count: entries, storage },
    sizes: {
      ids: rows * 4,
      weights: table,
      ...(storage === "q8" && { scales: entries * 4 }),
      out: rows * width * 4,
    },
    bytes: rows * (rowBytes(storage, width) + width * 4),
    operations: 0,
  };
}

export const embeddingCases = defineCases({
  kernel: embedding,
  cases: denseStorages.flatMap((storage) => [
    caseOf(storage, 300, [3, 0, 18, 3]),
    caseOf(storage, 7, [18, 1, 5, 2, 17]),
    caseOf(storage, 8, [3, 4, 9, 10, 18, unknown], 4, 6),
    caseOf(storage, 9, [7, vocabulary, 0, 8, unknown], 0, 8),
  ]),
  benches: [bench("f16", 1), bench("q8", 1), bench("f16", 512)],
});
