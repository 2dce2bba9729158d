import type { Target } from "./target.ts";

/** How values become one. */
interface Reduction {
  /** Of the WGSL function. */
  readonly name: string;
  readonly type: "f32" | "i32" | "u32";
  readonly combine: "add" | "max";
}

const expressionOf = ({ combine }: Reduction, a: string, b: string): string =>
  combine === "add" ? `${a} + ${b}` : `max(${a}, ${b})`;

const subgroupFunction = { add: "subgroupAdd", max: "subgroupMax" } as const;

/** Invocations that share a sum: `preferred`, a power of two, or fewer where the target has no more to offer. */
export function teamSize(target: Target, preferred: number): number {
  if (target.reduction === "serial") return 1;
  return target.reduction === "subgroup" ? Math.min(preferred, target.subgroupSize) : preferred;
}

/** The arguments that a call of a reduction's function ends with: `sum_all(x, ${laneArguments(target)})`. */
export const laneArguments = (target: Target): string =>
  target.reduction === "subgroup" ? "local, lane, subgroup_size" : "local";

const laneParameters = (target: Target): string =>
  target.reduction === "subgroup" ? "local: u32, lane: u32, subgroup_size: u32" : "local: u32";

/**
 * A WGSL function that combines one value of every invocation of a workgroup and gives all of them the result. All of
 * them must call it. It begins after and ends with a barrier, so that workgroup memory that was written before the call
 * can be read after it.
 */
export function workgroupReduction(target: Target, reduction: Reduction, workgroupSize: number): string {
  const { name, type, combine } = reduction;
  const parts = `${name}_parts`;
  const head = `fn ${name}(value: ${type}, ${laneParameters(target)}) -> ${type}`;
  if (target.reduction === "subgroup")
    return `var<workgroup> ${parts}: array<${type}, ${workgroupSize / target.subgroupSize}>;
${head} {
  let part = ${subgroupFunction[combine]}(value);
  if (lane == 0u) { ${parts}[local / subgroup_size] = part; }
  workgroupBarrier();
  var total = ${parts}[0];
  for (var i = 1u; i < ${workgroupSize}u / subgroup_size; i++) { total = ${expressionOf(reduction, "total", `${parts}[i]`)}; }
  workgroupBarrier();
  return total;
}`;
  if (target.reduction === "serial")
    return `var<workgroup> ${parts}: array<${type}, ${workgroupSize}>;
${head} {
  ${parts}[local] = value;
  workgroupBarrier();
  var total = ${parts}[0];
  for (var i = 1u; i < ${workgroupSize}u; i++) { total = ${expressionOf(reduction, "total", `${parts}[i]`)}; }
  workgroupBarrier();
  return total;
}`;
  return `var<workgroup> ${parts}: array<${type}, ${workgroupSize}>;
${head} {
  ${parts}[local] = value;
  workgroupBarrier();
  for (var stride = ${workgroupSize / 2}u; stride > 0u; stride >>= 1u) {
    if (local < stride) { ${parts}[local] = ${expressionOf(reduction, `${parts}[local]`, `${parts}[local + stride]`)}; }
    workgroupBarrier();
  }
  let total = ${parts}[0];
  workgroupBarrier();
  return total;
}`;
}

/**
 * A WGSL function that combines one value of each of `team` neighbouring invocations and gives all of them the result.
 * All invocations of the workgroup must call it. `team` comes from `teamSize`.
 */
export function teamReduction(
  target: Target,
  reduction: Reduction,
  team: number,
  workgroupSize: number,
): string {
  const { name, type } = reduction;
  const head = `fn ${name}(value: ${type}, ${laneParameters(target)}) -> ${type}`;
  if (team === 1) return `${head} { return value; }`;
  if (target.reduction === "subgroup") {
    const steps: string[] = [];
    for (let mask = team / 2; mask >= 1; mask /= 2)
      steps.push(`total = ${expressionOf(reduction, "total", `subgroupShuffleXor(total, ${mask}u)`)};`);
    return `${head} {\n  var total = value;\n  ${steps.join("\n  ")}\n  return total;\n}`;
  }
  const parts = `${name}_parts`;
  return `var<workgroup> ${parts}: array<${type}, ${workgroupSize}>;
${head} {
  ${parts}[local] = value;
  workgroupBarrier();
  let member = local % ${team}u;
  for (var stride = ${team / 2}u; stride > 0u; stride >>= 1u) {
    if (member < stride) { ${parts}[local] = ${expressionOf(reduction, `${parts}[local]`, `${parts}[local + stride]`)}; }
    workgroupBarrier();
  }
  let total = ${parts}[local - member];
  workgroupBarrier();
  return total;
}`;
}
