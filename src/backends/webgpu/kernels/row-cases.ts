import { Pcg32 } from "../../../runtime/random.ts";

/**
 * Rows whose products x · s are halfway between two codes, those of row 0 exactly. Those of the others are so only
 * after rounding to f32, and rounding x · s at once to an integer would give another code.
 */
export function tiedInputs(rows: number, depth: number): Float32Array<ArrayBuffer> {
  const random = new Pcg32(5n);
  const x = new Float32Array(rows * depth);
  for (let row = 0; row < rows; row++) {
    const absmax = row === 0 ? 127 : Math.fround(0.01 + random.uniform() * 30);
    const scale = Math.fround(127 / absmax);
    x[row * depth] = absmax;
    for (let i = 1; i < depth; ) {
      const half = Math.floor(random.uniform() * 252) - 126 + 0.5;
      const value = Math.fround(half / scale);
      const product = value * scale;
      const isTrap = product !== half && Math.round(product) !== 2 * Math.round(half / 2);
      const isTie = Math.fround(product) === half;
      if (isTie && (row === 0 || isTrap || random.uniform() < 0.01)) x[row * depth + i++] = value;
    }
  }
  return x;
}

/** Rows whose root mean square is 2, in sums that f32 holds in whatever order. @param depth a multiple of 8 */
export function exactlyNormed(rows: number, depth: number): Float32Array<ArrayBuffer> {
  const values = [5, -2, 1, 0, 1, -1, 0, 0];
  const random = new Pcg32(9n);
  const x = Float32Array.from({ length: rows * depth }, (_, i) => values[i % 8]!);
  for (let first = 0; first < x.length; first += depth)
    for (let i = depth - 1; i > 0; i--) {
      const j = Math.floor(random.uniform() * (i + 1));
      [x[first + i], x[first + j]] = [x[first + j]!, x[first + i]!];
    }
  return x;
}
