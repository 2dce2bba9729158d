import type { Target } from "../../target.ts";
import type { TernaryParams } from "../ternary.ts";
import { groupsOf, isGrouped } from "../ternary-results.ts";
import { type Division, isInteger, isUnrolled } from "./tuning.ts";

const quarters = [0, 1, 2, 3];
const components = ["x", "y", "z", "w"] as const;

const vectorOf = (unit: string): string => `(((${unit}) >> 3u) << 1u) + ((${unit}) & 1u)`;
const pairOf = (unit: string): string => `(((${unit}) >> 1u) & 3u)`;

/**
 * Where in workgroup memory the codes of 16 elements are, WGSL of their number. Vector v of a row's weights meets 16
 * elements in each of its four pairs of bits; those of pair l are at l · vectors + v, so that neighbouring invocations,
 * which have neighbouring vectors, read neighbouring memory.
 */
export const unitPlace = ({ vectors }: Division, unit: string): string =>
  `${pairOf(unit)} * ${vectors}u + ${vectorOf(unit)}`;

/** Where values are, WGSL of the number of four among the row's: the four parts of a pair lie apart in the same way. */
export const valuesPlace = ({ vectors }: Division, part: string): string =>
  `(4u * ${pairOf(`${part} >> 2u`)} + (${part} & 3u)) * ${vectors}u + ${vectorOf(`${part} >> 2u`)}`;

const sum = (terms: readonly string[]): string => terms.join(" + ");

/** Neighbouring elements whose products are summed before they are scaled. */
const grainOf = (group: number): 128 | 16 | 4 | 1 =>
  ([128, 16, 4] as const).find((n) => group % n === 0) ?? 1;

/** WGSL functions for `addProducts`. */
export function productDeclarations(params: TernaryParams): string {
  const { activations, group } = params;
  const isQuantized = activations === "int8-per-token";
  const parts: string[] = [];
  if (isQuantized) {
    // Bit 7 takes the borrow of code 0, so that each byte becomes code - 1 by itself.
    const codes = isInteger(params)
      ? "word & 0x03030303u"
      : "(((word & 0x03030303u) | 0x80808080u) - 0x01010101u) ^ 0x80808080u";
    parts.push(
      `fn weights_of(word: u32) -> u32 { return ${codes}; }`,
      `fn product(w: vec4<u32>, a: vec4<u32>) -> i32 {
  return ${sum(components.map((c) => `dot_codes(weights_of(w.${c}), a.${c})`))};
}`,
    );
  } else {
    // 2^23 + code, as bits
    parts.push(
      "struct Values { a: vec4<f32>, b: vec4<f32>, c: vec4<f32>, d: vec4<f32> }",
      `fn weights_of(word: u32) -> vec4<f32> {
  let codes = (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(3u);
  return bitcast<vec4<f32>>(codes | vec4<u32>(0x4b000000u)) - 8388609.0;
}`,
      `fn product(w: vec4<u32>, a: Values) -> f32 {
  return ${sum(quarters.map((i) => `dot(weights_of(w.${components[i]}), a.${"abcd"[i]})`))};
}`,
    );
  }
  if (!isGrouped(params)) return parts.join("\n");
  const scaleAt = (element: string): string =>
    `group_scale(row, min((${element}) / ${group}u, ${groupsOf(params) - 1}u))`;
  const type = isQuantized ? "vec4<u32>" : "Values";
  const grain = grainOf(group);
  const words = quarters.map((i) => {
    const [word, values] = [`weights_of(w.${components[i]})`, `a.${isQuantized ? components[i] : "abcd"[i]}`];
    if (grain === 4) {
      const product = isQuantized ? `f32(dot_codes(${word}, ${values}))` : `dot(${word}, ${values})`;
      return `total += ${product} * ${scaleAt(`element + ${4 * i}u`)};`;
    }
    const products = isQuantized
      ? `vec4<f32>(bytes_of(${word}) * bytes_of(${values}))`
      : `${word} * ${values}`;
    const scales = quarters.map((k) => scaleAt(`element + ${4 * i + k}u`));
    return `total += dot(${products}, vec4<f32>(${scales.join(", ")}));`;
  });
  if (grain === 1 && isQuantized)
    parts.push(`fn bytes_of(word: u32) -> vec4<i32> {
  return bitcast<vec4<i32>>(vec4<u32>(word) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u);
}`);
  parts.push(
    grain >= 16
      ? `fn scaled(total: f32, row: u32, element: u32) -> f32 { return total * ${scaleAt("element")}; }`
      : `fn scaled_product(w: vec4<u32>, a: ${type}, row: u32, element: u32) -> f32 {
  var total = 0.0;
  ${words.join("\n  ")}
  return total;
}`,
  );
  return parts.join("\n");
}

/**
 * WGSL that adds the products of a vector of weights of some rows to the rows' sums.
 * @param memoryValue with float activations that are not in workgroup memory, WGSL of elements 4 · `part` to
 *   4 · `part` + 3 of the input row
 * @param vector WGSL of the vector's number in its row
 * @param rows for each row of weights, WGSL of its number, its vector of weights and its sum
 */
export function addProducts(
  params: TernaryParams,
  target: Target,
  { vectors }: Division,
  memoryValue: ((part: string) => string) | undefined,
  vector: string,
  rows: readonly { readonly row: string; readonly weights: string; readonly sum: string }[],
): string {
  const { depth } = params;
  const isQuantized = params.activations === "int8-per-token";
  const grain = isGrouped(params) ? grainOf(params.group) : undefined;
  const shifted = (weights: string, l: number | string): string =>
    `${weights} >> vec4<u32>(${typeof l === "number" ? `${2 * l}u` : `2u * ${l}`})`;
  if (isUnrolled(params, target)) {
    const values = quarters.map((l) => `let a_${l} = codes[${l * vectors}u + vector];`);
    const sums = rows.map(
      ({ weights, sum: total }) =>
        `${total} += ${sum(quarters.map((l) => `product(${shifted(weights, l)}, a_${l})`))};`,
    );
    return `{\n    let vector = ${vector};\n    ${[...values, ...sums].join("\n    ")}\n  }`;
  }
  // Unrolled, this would keep a compiler busy for long.
  const value = (c: number): string =>
    memoryValue ? memoryValue(`element / 4u + ${c}u`) : `values[(4u * l + ${c}u) * ${vectors}u + vector]`;
  const type = isQuantized ? "i32" : "f32";
  const before = rows.map((_, r) => `var part_${r}: ${type} = 0;`);
  const within = rows.map(({ row, weights, sum: total }, r) => {
    const product = `product(${shifted(weights, "l")}, a)`;
    if (grain === undefined) return `${total} += ${product};`;
    if (grain === 128) return `part_${r} += ${product};`;
    return grain === 16
      ? `${total} += scaled(f32(${product}), ${row}, element);`
      : `${total} += scaled_product(${shifted(weights, "l")}, a, ${row}, element);`;
  });
  const after = rows.map(
    ({ row, sum: total }, r) => `${total} += scaled(f32(part_${r}), ${row}, vector * 64u);`,
  );
  // A number of pairs that depends on the vector keeps compilers from unrolling what is long already.
  const pairs =
    grain === undefined || grain >= 16 ? "4u" : `min(4u, (max(${depth}u, first) - first + 31u) / 32u)`;
  const a = isQuantized ? `codes[l * ${vectors}u + vector]` : `Values(${quarters.map(value).join(", ")})`;
  return `{
    let vector = ${vector};
    ${grain === 128 ? before.join("\n    ") : ""}
    let first = (vector >> 1u) * 128u + (vector & 1u) * 16u;
    for (var l = 0u; l < ${pairs}; l++) {
      let element = first + l * 32u;
      let a = ${a};
      ${within.join("\n      ")}
    }
    ${grain === 128 ? after.join("\n    ") : ""}
  }`;
}
