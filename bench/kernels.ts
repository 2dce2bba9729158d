// npm run bench: speed of the CPU kernels, and of the ways to write the inner loop of bitnet.linear that were tried.
import { bitnetKernels } from "../src/runtime/cpu/kernels/bitnet.ts";
import { neuralKernels } from "../src/runtime/cpu/kernels/neural.ts";
import { type Tensor, tensor } from "../src/tensor/tensor.ts";
import { ternaryLoops } from "./ternary-loops.ts";

const millisecondsEach = 600;
const millisecondsPerSample = 15;

/** Microseconds of one call: the best sample, which is the one that other programs disturbed least. */
function time(run: () => void): number {
  const end = performance.now() + millisecondsEach;
  let best = Number.POSITIVE_INFINITY;
  do {
    const start = performance.now();
    let calls = 0;
    do {
      run();
      calls++;
    } while (performance.now() - start < millisecondsPerSample);
    best = Math.min(best, (performance.now() - start) / calls);
  } while (performance.now() < end);
  return best * 1000;
}

/** @returns microseconds */
function report(name: string, multiplications: number, run: () => void): number {
  const microseconds = time(run);
  const rate = multiplications / microseconds / 1000;
  console.log(
    `${name.padEnd(52)} ${microseconds.toFixed(1).padStart(10)} µs ${rate.toFixed(2).padStart(7)} GMAC/s`,
  );
  return microseconds;
}

/** A linear congruential generator (Numerical Recipes): the same numbers each run. */
let seed = 1;
const random = (): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 32;
};
const floats = (...shape: readonly number[]): Tensor => {
  const out = tensor("f32", shape);
  for (let i = 0; i < out.data.length; i++) out.data[i] = random() * 2 - 1;
  return out;
};
/** Integers from -largest to largest. */
const codes = (rows: number, columns: number, largest = 1): Tensor => {
  const out = tensor("i8", [rows, columns]);
  for (let i = 0; i < out.data.length; i++) out.data[i] = Math.floor(random() * (2 * largest + 1)) - largest;
  return out;
};

console.log("bitnet.linear, inner loops");
for (const [rows, columns, depth] of [
  [1, 768, 256],
  [252, 768, 256],
] as const) {
  const x = new Float64Array(rows * depth).map(() => Math.floor(random() * 255) - 127);
  const weight = codes(columns, depth).data as Int8Array;
  for (const { name, prepare } of ternaryLoops) {
    const run = prepare(weight, rows, columns, depth);
    report(`  ${name}, ${rows}×${columns}×${depth}`, rows * columns * depth, () => run(x));
  }
}

console.log("bitnet.linear");
for (const activations of ["int8-per-token", "float"] as const) {
  for (const rows of [1, 3, 4, 32, 256]) {
    for (const [columns, depth] of [
      [768, 256],
      [256, 768],
      [2560, 2560],
    ] as const) {
      const [x, weight, scale] = [floats(rows, depth), codes(columns, depth), tensor("f32", [1], [0.7])];
      report(`  ${activations}, ${rows}×${columns}×${depth}`, rows * columns * depth, () => {
        bitnetKernels["bitnet.linear"]({ x, weight, scale }, { activations, group: 0 });
      });
    }
  }
}

console.log("nn.linear");
for (const [rows, columns, depth] of [
  ...[1, 2, 3, 4, 8, 32, 256].map((rows) => [rows, 2048, 256] as const),
  [1, 2048, 255],
  [1, 32000, 2560],
] as const) {
  const [x, weight] = [floats(rows, depth), floats(columns, depth)];
  const work = rows * columns * depth;
  const float = report(`  f32, ${rows}×${columns}×${depth}`, work, () => {
    neuralKernels["nn.linear"]({ x, weight }, {});
  });
  const [q8, scale] = [codes(columns, depth, 127), floats(columns)];
  const quantized = report(`  q8, ${rows}×${columns}×${depth}`, work, () => {
    neuralKernels["nn.linear"]({ x, weight: q8, scale }, {});
  });
  console.log(`  time of q8 / f32 ${(quantized / float).toFixed(2)}`);
}

console.log("matmul");
for (const rows of [1, 4, 8, 16, 256]) {
  const [a, b] = [floats(rows, 256), floats(256, 768)];
  report(`  ${rows}×768×256`, rows * 768 * 256, () => {
    neuralKernels.matmul({ a, b }, {});
  });
}

console.log("nn.sdpa, 4 query heads on 2 key heads of 64, causal, at the end of a cache");
for (const [queries, keys] of [
  [1, 64],
  [1, 512],
  [256, 256],
] as const) {
  const [q, k, v] = [floats(1, 4, queries, 64), floats(1, 2, keys, 64), floats(1, 2, keys, 64)];
  const visible = queries === 1 ? keys : (queries * (queries + 1)) / 2;
  const start_pos = tensor("i64", [1], [keys - queries]);
  report(`  ${queries} queries, ${keys} keys`, 2 * 4 * visible * 64, () => {
    neuralKernels["nn.sdpa"]({ q, k, v, start_pos }, { scale: 1 / 8, causal: true, softcap: 0, window: 0 });
  });
}
