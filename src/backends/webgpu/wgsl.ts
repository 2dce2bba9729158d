import type { BindingAccess } from "../../runtime/webgpu/plan.ts";
import { type Dim, dimKey, symbolsOf } from "../../tensor/dim.ts";
import type { KernelCode } from "./kernel.ts";
import type { Target } from "./target.ts";

/** The symbols of a language model's graph, in the order of their words in the symbols buffer. */
export const symbolOrder = ["S", "P"] as const;

export interface ShaderText {
  /** In order. `type` is WGSL, such as `array<vec4<f32>>`. */
  readonly bindings: Readonly<
    Record<string, { readonly type: string; readonly access: Exclude<BindingAccess, "symbols"> }>
  >;
  /** Invocations along x. */
  readonly workgroupSize: number;
  readonly workgroups: readonly [Dim, Dim, Dim];
  /** WGSL at module scope: constants, workgroup variables, functions. */
  readonly declarations?: string;
  /** The body of `main`, which sees `workgroup` and `local` (an index) and, with subgroups, `lane` and `subgroup_size`. */
  readonly body: string;
}

/** Puts a shader's parts together: directives, bindings in order, declarations, the entry point. */
export function shader(target: Target, text: ShaderText): KernelCode {
  const { bindings, workgroupSize, workgroups, declarations = "", body } = text;
  const usesSubgroups = target.reduction === "subgroup";
  const usesSymbols = /\bsymbols\b/.test(declarations + body);
  const names = Object.entries(bindings);
  const lines = names.map(([name, { type, access }], i) => {
    const mode = access === "constant" ? "read" : "read_write";
    return `@group(0) @binding(${i}) var<storage, ${mode}> ${name}: ${type};`;
  });
  if (usesSymbols) lines.push(`@group(0) @binding(${names.length}) var<uniform> symbols: vec4<u32>;`);
  const wgsl = `${usesSubgroups ? "enable subgroups;\n" : ""}${lines.join("\n")}
${helpersIn(declarations + body)}${declarations.trim()}

@compute @workgroup_size(${workgroupSize})
fn main(
  @builtin(workgroup_id) workgroup: vec3<u32>,
  @builtin(local_invocation_index) local: u32,${
    usesSubgroups
      ? "\n  @builtin(subgroup_invocation_id) lane: u32,\n  @builtin(subgroup_size) subgroup_size: u32,"
      : ""
  }
) {
  ${body.trim()}
}
`;
  return {
    wgsl,
    bindings: [
      ...names.map(([name, { access }]) => ({ name, access })),
      ...(usesSymbols ? [{ name: "symbols", access: "symbols" as const }] : []),
    ],
    workgroups,
  };
}

/** Functions that `wgslSize` may call. */
const helpers = {
  floordiv_u32: "fn floordiv_u32(a: u32, b: u32) -> u32 { return a / b; }",
  mod_u32: "fn mod_u32(a: u32, b: u32) -> u32 { return a % b; }",
};

const helpersIn = (text: string): string =>
  Object.entries(helpers)
    .filter(([name]) => text.includes(`${name}(`))
    .map(([, declaration]) => `${declaration}\n`)
    .join("");

/**
 * A size as a WGSL expression of type u32. Sizes are never negative; parts of a sum may be, which u32 arithmetic that
 * wraps around does not mind, but arguments of floordiv, mod, max and min must not.
 */
export function wgslSize(size: Dim): string {
  if (typeof size === "number") return `${size}u`;
  const text = dimKey(size)
    .replace(/\b\d+\b/g, "$&u")
    .replace(/\b(floordiv|mod)\(/g, (_, name) => `${name}_u32(`);
  let expression = text;
  for (const name of symbolsOf(size)) {
    const index = (symbolOrder as readonly string[]).indexOf(name);
    if (index < 0) throw new Error(`the symbol ${name} has no place in the symbols buffer`);
    expression = expression.replace(new RegExp(`\\b${name}\\b`, "g"), `symbols.${"xyzw"[index]}`);
  }
  return `(${expression.replace(/^-/, "0u - ")})`;
}

/** A number as a WGSL literal of type f32 that stands for exactly this f32. */
export function wgslFloat(value: number): string {
  const rounded = Math.fround(value);
  if (!Number.isFinite(rounded)) throw new Error(`${value} has no WGSL literal`);
  const text = String(rounded);
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}
