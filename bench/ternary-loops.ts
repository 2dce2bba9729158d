/** Ways to multiply int8 activation codes by ternary weights, each returning [rows, columns] exact sums. */
export interface TernaryLoop {
  readonly name: string;
  prepare(weight: Int8Array, rows: number, columns: number, depth: number): (x: Float64Array) => Float64Array;
}

const magic = 1.5 * 2 ** 52;

/** Stores the sums in the lanes of a packed sum, each `unit` times the one before, for rows that there are. */
function unpack(
  sum: number,
  lanes: number,
  unit: number,
  store: (lane: number, value: number) => void,
): void {
  let rest = sum;
  for (let lane = lanes - 1, scale = lanes === 3 ? unit * unit : lanes === 2 ? unit : 1; lane >= 0; lane--) {
    const value = rest / scale + magic - magic;
    rest -= value * scale;
    scale /= unit;
    store(lane, value);
  }
}

type Numbers = Int8Array | Int32Array | Float64Array;

/** A new copy of the loop for each pair of array types, so that the types of one do not slow the others down. */
const pairs = (
  name: string,
  convertX: (x: Float64Array) => Numbers,
  convertWeight: (w: Int8Array) => Numbers,
) => ({
  name: `one by one, ${name}`,
  prepare(weight: Int8Array, rows: number, columns: number, depth: number) {
    const w = convertWeight(weight);
    const out = new Float64Array(rows * columns);
    const loop = new Function(
      "x",
      "w",
      "out",
      "rows",
      "columns",
      "depth",
      `for (let m = 0; m < rows; m++) for (let n = 0; n < columns; n += 4) {
        const w0 = n * depth, w1 = w0 + depth, w2 = w1 + depth, w3 = w2 + depth, from = m * depth;
        let a = 0, b = 0, c = 0, d = 0;
        for (let k = 0; k < depth; k++) {
          const v = x[from + k];
          a += v * w[w0 + k]; b += v * w[w1 + k]; c += v * w[w2 + k]; d += v * w[w3 + k];
        }
        const at = m * columns + n;
        out[at] = a; out[at + 1] = b; out[at + 2] = c; out[at + 3] = d;
      }`,
    ) as (...args: readonly unknown[]) => void;
    return (x: Float64Array) => {
      loop(convertX(x), w, out, rows, columns, depth);
      return out;
    };
  },
});

/** Rows of x in the lanes of a double (see runtime/cpu/kernels/ternary-product.ts), `triples`·lanes by `wide` sums. */
const packed = (lanes: number, packs: number, wide: number): TernaryLoop => ({
  name: `${lanes} rows in a double, tile ${packs}×${wide}`,
  prepare(weight, rows, columns, depth) {
    const unit = lanes === 3 ? 2 ** 18 : 2 ** 26;
    const memory = new Float64Array(depth * packs);
    const out = new Float64Array(rows * columns);
    const all = <T>(size: number, each: (i: number) => T): T[] =>
      Array.from({ length: size }, (_, i) => each(i));
    const sums = all(packs, (p) => all(wide, (j) => `s${p}_${j}`)).flat();
    const loop = new Function(
      "x",
      "w",
      "out",
      "n",
      "depth",
      `${all(wide, (j) => `const w${j} = (n + ${j}) * depth;`).join("")}
      let ${sums.map((s) => `${s} = 0`).join(",")};
      for (let k = 0; k < depth; k++) {
        ${all(packs, (p) => `const x${p} = x[k * ${packs} + ${p}];`).join("")}
        ${all(wide, (j) => `const t${j} = w[w${j} + k];`).join("")}
        ${all(packs, (p) => all(wide, (j) => `s${p}_${j} += x${p} * t${j};`).join("")).join("")}
      }
      ${sums.map((s, i) => `out[${i}] = ${s};`).join("")}`,
    ) as (...args: readonly unknown[]) => void;
    const tile = new Float64Array(packs * wide);
    return (x) => {
      for (let m = 0; m < rows; m += packs * lanes) {
        memory.fill(0);
        for (let p = 0; p < packs; p++)
          for (let lane = 0; lane < lanes && m + p * lanes + lane < rows; lane++)
            for (let k = 0; k < depth; k++)
              memory[k * packs + p]! += x[(m + p * lanes + lane) * depth + k]! * unit ** lane;
        for (let n = 0; n + wide <= columns; n += wide) {
          loop(memory, weight, tile, n, depth);
          for (let i = 0; i < packs * wide; i++) {
            const row = m + Math.floor(i / wide) * lanes;
            const column = n + (i % wide);
            unpack(tile[i]!, lanes, unit, (lane, value) => {
              if (row + lane < rows) out[(row + lane) * columns + column] = value;
            });
          }
        }
      }
      return out;
    };
  },
});

/**
 * A table of the 81 possible sums of each four activations, of three rows at a time in the lanes of a double, read by
 * codes of four weights to a byte.
 */
const tables = (lanes: 1 | 3): TernaryLoop => ({
  name: `${lanes} row${lanes > 1 ? "s" : ""}, table of 81 sums for 4 weights`,
  prepare(weight, rows, columns, depth) {
    const chunks = depth / 4;
    const bytes = new Uint8Array(columns * chunks);
    for (let i = 0; i < bytes.length; i++)
      for (let j = 3; j >= 0; j--) bytes[i] = bytes[i]! * 3 + weight[i * 4 + j]! + 1;
    const table = new Float64Array(chunks * 81);
    const out = new Float64Array(rows * columns);
    const unit = 2 ** 18;
    const fill = (x: Float64Array, m: number): void => {
      for (let chunk = 0; chunk < chunks; chunk++) {
        const base = chunk * 81;
        table[base] = 0;
        for (let j = 0, size = 1; j < 4; j++, size *= 3) {
          const at = m * depth + chunk * 4 + j;
          let value = x[at]!;
          if (lanes === 3 && m + 1 < rows) value += x[at + depth]! * unit;
          if (lanes === 3 && m + 2 < rows) value += x[at + 2 * depth]! * unit * unit;
          for (let i = base; i < base + size; i++) {
            const low = table[i]! - value;
            table[i] = low;
            table[i + size] = low + value;
            table[i + 2 * size] = low + value + value;
          }
        }
      }
    };
    const store = (sum: number, m: number, n: number): void =>
      unpack(sum, lanes, unit, (lane, value) => {
        if (m + lane < rows) out[(m + lane) * columns + n] = value;
      });
    return (x) => {
      for (let m = 0; m < rows; m += lanes) {
        fill(x, m);
        for (let n = 0; n < columns; n += 4) {
          const [p0, p1, p2, p3] = [n * chunks, (n + 1) * chunks, (n + 2) * chunks, (n + 3) * chunks];
          let a = 0;
          let b = 0;
          let c = 0;
          let d = 0;
          for (let chunk = 0, base = 0; chunk < chunks; chunk++, base += 81) {
            a += table[base + bytes[p0 + chunk]!]!;
            b += table[base + bytes[p1 + chunk]!]!;
            c += table[base + bytes[p2 + chunk]!]!;
            d += table[base + bytes[p3 + chunk]!]!;
          }
          store(a, m, n);
          store(b, m, n + 1);
          store(c, m, n + 2);
          store(d, m, n + 3);
        }
      }
      return out;
    };
  },
});

export const ternaryLoops: readonly TernaryLoop[] = [
  pairs(
    "f64·i8",
    (x) => x,
    (w) => w,
  ),
  pairs(
    "i32·i8",
    (x) => Int32Array.from(x),
    (w) => w,
  ),
  pairs(
    "i8·i8",
    (x) => Int8Array.from(x),
    (w) => w,
  ),
  pairs(
    "f64·f64",
    (x) => x,
    (w) => Float64Array.from(w),
  ),
  packed(2, 2, 3),
  packed(3, 1, 4),
  packed(3, 2, 2),
  packed(3, 2, 3),
  packed(3, 3, 4),
  packed(3, 4, 4),
  tables(1),
  tables(3),
];
