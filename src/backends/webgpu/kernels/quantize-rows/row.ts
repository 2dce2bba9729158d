import { dotDeclaration, packDeclaration, scaleDeclaration } from "../../quantize.ts";
import type { Target } from "../../target.ts";
import { type ShaderText, wgslFloat } from "../../wgsl.ts";

export interface RowNorm {
  readonly eps: number;
}

/** How a workgroup reads an input row and what it makes of it. */
export interface RowRecipe {
  readonly depth: number;
  readonly norm: RowNorm | undefined;
  readonly workgroupSize: number;
  /** WGSL of the row's number. */
  readonly row: string;
  readonly result:
    | {
        readonly kind: "codes";
        /** WGSL that stores the codes of a unit: a word for each of its parts. A row has `units` of them. */
        store(unit: string, words: string, units: number): string;
        /** Whether they are stored in workgroup memory, to be read after the stages. */
        readonly isShared: boolean;
        /** Whether `code_sum`, the sum of the row's codes, is wanted. Only for codes that are shared. */
        readonly sum: boolean;
      }
    | {
        readonly kind: "values";
        /** WGSL that stores the row's part `part`, a `vec4<f32>`; none if nothing is stored. */
        readonly store: ((part: string, values: string) => string) | undefined;
      };
}

export interface RowStages {
  readonly declarations: string;
  /** Statements that begin to load the row, where it is kept from its first use to the second. */
  readonly load: string;
  /**
   * The other statements. They declare `norm_factor` with a norm, `token_scale` with codes, `code_sum` where it is
   * wanted. They end with a barrier where anything was stored in workgroup memory.
   */
  readonly finish: string;
}

/**
 * Parts, of four elements each, that an invocation takes at a time, as a unit. Neighbours on a GPU load neighbouring
 * parts, so that one load of all of them touches few lines of memory; on a CPU large steps are few steps.
 */
export const unitParts = (target: Target): 1 | 4 => (target.reduction === "serial" ? 4 : 1);

/** Units that fill a row's blocks of 256 elements. */
const unitsOf = (depth: number, target: Target): number => (64 / unitParts(target)) * Math.ceil(depth / 256);

/** Of the codes of a unit. */
export const unitType = (target: Target): string => (unitParts(target) === 1 ? "u32" : "vec4<u32>");

/** Parts that an invocation may keep in registers. */
const keptParts = 8;

const range = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i);

/** Expressions joined two by two, so that few wait for each other. */
function joined(expressions: readonly string[], join: (a: string, b: string) => string): string {
  const half = expressions.length / 2;
  if (half < 1) return expressions[0]!;
  return join(joined(expressions.slice(0, half), join), joined(expressions.slice(half), join));
}

const sumOf = (expressions: readonly string[]): string => joined(expressions, (a, b) => `(${a} + ${b})`);
const largestOf = (expressions: readonly string[]): string =>
  joined(expressions, (a, b) => `max(${a}, ${b})`);

const isWide = (depth: number): boolean => depth % 4 === 0;

export function rowBindings(depth: number, norm: RowNorm | undefined): ShaderText["bindings"] {
  const type = isWide(depth) ? "array<vec4<f32>>" : "array<f32>";
  return {
    x: { type, access: "value" },
    ...(norm && { norm_scale: { type, access: "constant" } }),
  };
}

/** WGSL of a function that gives elements 4 · `part` to 4 · `part` + 3 of a row; zeros are beyond its end. */
function loadPart(name: string, depth: number, hasRows: boolean): string {
  const [head, start] = hasRows
    ? [`fn ${name}_part(row: u32, part: u32) -> vec4<f32>`, `row * ${isWide(depth) ? depth / 4 : depth}u + `]
    : [`fn ${name}_part(part: u32) -> vec4<f32>`, ""];
  if (isWide(depth))
    return `${head} {
  if (part >= ${depth / 4}u) { return vec4<f32>(); }
  return ${name}[${start}part];
}`;
  const elements = [0, 1, 2, 3].map(
    (i) => `select(0.0, ${name}[${start}first + ${i}u], first + ${i}u < end)`,
  );
  return `${head} {
  let end = ${depth}u;
  let first = 4u * part;
  return vec4<f32>(${elements.join(", ")});
}`;
}

const loadUnit = (name: string, hasRows: boolean, target: Target): string => {
  const row = hasRows ? "row, " : "";
  const count = unitParts(target);
  const parts = range(count).map((i) => `${name}_part(${row}${count}u * unit + ${i}u)`);
  return `fn ${name}_unit(${hasRows ? "row: u32, " : ""}unit: u32) -> Unit { return Unit(${parts.join(", ")}); }`;
};

/** Members of a unit: its parts. */
const membersOf = (target: Target): readonly string[] => ["a", "b", "c", "d"].slice(0, unitParts(target));

function rowDeclarations(target: Target, { depth, norm, result }: RowRecipe): string[] {
  const isCodes = result.kind === "codes";
  const members = membersOf(target);
  const words = unitType(target);
  return [
    `struct Unit { ${members.map((name) => `${name}: vec4<f32>`).join(", ")} }`,
    loadPart("x", depth, true),
    loadUnit("x", true, target),
    ...(norm
      ? [
          loadPart("norm_scale", depth, false),
          loadUnit("norm_scale", false, target),
          `fn squares_of(u: Unit) -> f32 {
  let squares = ${members.map((m) => `u.${m} * u.${m}`).join(" + ")};
  return (squares.x + squares.y) + (squares.z + squares.w);
}`,
          `fn products_of(u: Unit, v: Unit) -> Unit { return Unit(${members.map((m) => `u.${m} * v.${m}`).join(", ")}); }`,
          `fn normed(u: Unit, factor: f32, v: Unit) -> Unit {
  return Unit(${members.map((m) => `(u.${m} * factor) * v.${m}`).join(", ")});
}`,
        ]
      : []),
    ...(isCodes
      ? [
          `fn largest_of(u: Unit) -> f32 {
  let largest = ${largestOf(members.map((m) => `abs(u.${m})`))};
  return max(max(largest.x, largest.y), max(largest.z, largest.w));
}`,
          `fn codes_of(u: Unit, scale: f32) -> ${words} {
  return ${words}(${members.map((m) => `pack_codes(u.${m}, scale)`).join(", ")});
}`,
          scaleDeclaration,
          packDeclaration,
          dotDeclaration(target),
        ]
      : []),
    ...(isCodes && result.sum
      ? [
          `fn sum_of_codes(words: ${words}) -> i32 {
  return ${(members.length === 1 ? [""] : [".x", ".y", ".z", ".w"]).map((c) => `dot_codes(words${c}, 0x01010101u)`).join(" + ")};
}`,
        ]
      : []),
  ];
}

/** Parts of a sum of the whole workgroup that workgroup memory holds at a time: one a subgroup or one an invocation. */
export const partsOf = (target: Target, workgroupSize: number): number =>
  target.reduction === "subgroup" ? workgroupSize / target.subgroupSize : workgroupSize;

/** Bytes of workgroup memory that the stages use for themselves at most. */
export const stageBytes = (target: Target, workgroupSize: number): number =>
  12 * partsOf(target, workgroupSize);

/**
 * A workgroup's way from an input row to its codes or values: [norm, largest magnitude, scale,] codes, with one barrier
 * for the norm's sum and the largest magnitude together. So with a norm the magnitudes are taken before its factor is
 * applied, and the largest may differ by a rounding from that of the normed elements.
 */
export function rowStages(target: Target, recipe: RowRecipe): RowStages {
  const { depth, norm, workgroupSize, row, result } = recipe;
  const isCodes = result.kind === "codes";
  const units = unitsOf(depth, target);
  const slots = Math.ceil(units / workgroupSize);
  const isKept = slots * unitParts(target) <= keptParts && (isCodes || result.store !== undefined);
  const parts = partsOf(target, workgroupSize);
  const hasSubgroups = target.reduction === "subgroup";
  const partNumbers = range(parts);
  const declarations = rowDeclarations(target, recipe);

  /** Statements for each of the invocation's units, which they see as `unit`, `x_k` and `norm_scale_k`. */
  const forUnits = (statements: (k: number) => string): string => {
    if (!isKept)
      return `for (var unit = local; unit < ${units}u; unit += ${workgroupSize}u) {
    let x_0 = x_unit(${row}, unit);
    ${norm ? "let norm_scale_0 = norm_scale_unit(unit);" : ""}
    ${statements(0)}
  }`;
    return Array.from({ length: slots }, (_, k) => {
      const guard = (k + 1) * workgroupSize <= units ? "" : `if (unit < ${units}u) `;
      return `{
    let unit = local + ${k * workgroupSize}u;
    ${guard}{ ${statements(k)} }
  }`;
    }).join("\n  ");
  };

  const load = isKept
    ? Array.from({ length: slots }, (_, k) => {
        const unit = `local + ${k * workgroupSize}u`;
        return [
          `let x_${k} = x_unit(${row}, ${unit});`,
          ...(norm ? [`let norm_scale_${k} = norm_scale_unit(${unit});`] : []),
        ];
      })
    : [];

  const finish: string[] = [];
  if (norm || isCodes) {
    if (norm) finish.push("var squares = 0.0;");
    if (isCodes) finish.push("var largest = 0.0;");
    finish.push(
      forUnits((k) =>
        [
          ...(norm ? [`squares += squares_of(x_${k});`] : []),
          ...(isCodes
            ? [
                `largest = max(largest, largest_of(${norm ? `products_of(x_${k}, norm_scale_${k})` : `x_${k}`}));`,
              ]
            : []),
        ].join(" "),
      ),
    );
    // Magnitudes are in the order of their bits; subgroups find the largest u32 faster than the largest f32.
    declarations.push(`var<workgroup> row_parts: array<vec2<f32>, ${parts}>;`);
    const part = [
      norm ? (hasSubgroups ? "subgroupAdd(squares)" : "squares") : "0.0",
      isCodes ? (hasSubgroups ? "bitcast<f32>(subgroupMax(bitcast<u32>(largest)))" : "largest") : "0.0",
    ];
    finish.push(
      hasSubgroups
        ? `let row_part = vec2<f32>(${part.join(", ")});
  if (lane == 0u) { row_parts[local / subgroup_size] = row_part; }`
        : `row_parts[local] = vec2<f32>(${part.join(", ")});`,
      hasSubgroups
        ? `workgroupBarrier();
  ${partNumbers.map((i) => `let row_part_${i} = row_parts[${i}];`).join("\n  ")}
  let row_total = vec2<f32>(
    ${sumOf(partNumbers.map((i) => `row_part_${i}.x`))},
    ${largestOf(partNumbers.map((i) => `row_part_${i}.y`))},
  );`
        : `workgroupBarrier();
  var row_total = row_parts[0];
  for (var i = 1u; i < ${parts}u; i++) {
    let part = row_parts[i];
    row_total = vec2<f32>(row_total.x + part.x, max(row_total.y, part.y));
  }`,
    );
  }
  if (norm)
    finish.push(`let norm_factor = 1.0 / sqrt(row_total.x / ${wgslFloat(depth)} + ${wgslFloat(norm.eps)});`);
  const value = (k: number): string => (norm ? `normed(x_${k}, norm_factor, norm_scale_${k})` : `x_${k}`);
  if (result.kind === "codes") {
    finish.push(
      `let token_scale = quantization_scale(${norm ? "row_total.y * norm_factor" : "row_total.y"});`,
    );
    if (result.sum) finish.push("var own_sum = 0;");
    finish.push(
      forUnits(
        (k) =>
          `let words = codes_of(${value(k)}, token_scale); ${result.store("unit", "words", units)}${
            result.sum ? " own_sum += sum_of_codes(words);" : ""
          }`,
      ),
    );
    if (result.sum) {
      declarations.push(`var<workgroup> sum_parts: array<i32, ${parts}>;`);
      finish.push(
        hasSubgroups
          ? `let sum_part = subgroupAdd(own_sum);
  if (lane == 0u) { sum_parts[local / subgroup_size] = sum_part; }
  workgroupBarrier();
  let code_sum = ${sumOf(partNumbers.map((i) => `sum_parts[${i}]`))};`
          : `sum_parts[local] = own_sum;
  workgroupBarrier();
  var code_sum = 0;
  for (var i = 0u; i < ${parts}u; i++) { code_sum += sum_parts[i]; }`,
      );
    } else if (result.isShared) finish.push("workgroupBarrier();");
  } else if (result.store !== undefined) {
    const { store } = result;
    finish.push(
      forUnits((k) =>
        [
          `let normed_unit = ${value(k)};`,
          ...membersOf(target).map((m, i) =>
            store(`(${unitParts(target)}u * unit + ${i}u)`, `normed_unit.${m}`),
          ),
        ].join(" "),
      ),
      "workgroupBarrier();",
    );
  }
  return {
    declarations: declarations.join("\n"),
    load: load.flat().join("\n  "),
    finish: finish.join("\n  "),
  };
}
