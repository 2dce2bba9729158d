import type { ShaderText } from "../../wgsl.ts";
import type { TernaryParams } from "../ternary.ts";
import { hasBias } from "../ternary-results.ts";

/** The kernel's bindings, with the WGSL types in which a shader sees weights and codes. */
export function bindingsOf(params: TernaryParams, packedType: string): ShaderText["bindings"] {
  const floats = "array<f32>";
  const isFloat = params.activations === "float";
  const hasResidual = params.epilogue.kind === "residual";
  return {
    weights: { type: packedType, access: "constant" },
    scales: { type: floats, access: "constant" },
    ...(hasBias(params) && { bias: { type: floats, access: "constant" as const } }),
    ...(isFloat
      ? { x: { type: hasVectors(params) ? "array<vec4<f32>>" : floats, access: "value" as const } }
      : {
          codes: { type: packedType, access: "value" as const },
          row_scales: { type: floats, access: "value" as const },
        }),
    ...(hasResidual && { residual: { type: floats, access: "value" as const } }),
    out: { type: floats, access: "value" },
  };
}

const hasVectors = ({ depth }: TernaryParams): boolean => depth % 4 === 0;

/**
 * WGSL of `fn values_at(token: u32, quad: u32) -> vec4<f32>`: elements 4 · quad to 4 · quad + 3 of a float input row,
 * 0 beyond its end.
 * @param elements what callers may ask for, at most
 */
export function valuesDeclaration(params: TernaryParams, elements: number): string {
  const { depth } = params;
  const head = "fn values_at(token: u32, quad: u32) -> vec4<f32>";
  if (depth === elements) return `${head} { return x[token * ${depth / 4}u + quad]; }`;
  if (hasVectors(params))
    return `${head} {
  let value = x[token * ${depth / 4}u + min(quad, ${depth / 4 - 1}u)];
  return select(vec4<f32>(), value, quad < ${depth / 4}u);
}`;
  return `fn value_at(token: u32, k: u32) -> f32 {
  return select(0.0, x[token * ${depth}u + min(k, ${depth - 1}u)], k < ${depth}u);
}
${head} {
  let k = quad * 4u;
  return vec4<f32>(value_at(token, k), value_at(token, k + 1u), value_at(token, k + 2u), value_at(token, k + 3u));
}`;
}

/** WGSL of `fn four_weights(codes: u32) -> vec4<f32>`: the weights whose codes are in the low bits of four bytes. */
export const fourWeightsDeclaration = `fn four_weights(codes: u32) -> vec4<f32> {
  return vec4<f32>(vec4<i32>((vec4<u32>(codes) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(3u))) - vec4<f32>(1.0);
}`;
