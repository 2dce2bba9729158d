import type { GateFunction } from "./kernels/ternary.ts";
import { wgslFloat } from "./wgsl.ts";

/**
 * Of e^(z²)·erfc(z)/t in t = 1/(1 + z/2), lowest power first: a least-squares fit at Chebyshev points for z from 0 to
 * 9.4, where erfc is below what f32 holds. Its relative error is 5e-8.
 */
const scaledErfc = [
  0.282083482, 0.28243354, 0.24263227, 0.204735518, -0.0318766236, 0.286242872, -0.494792521, 0.288439542,
  -0.0598980971,
];

/** c0 + t·(c1 + t·(…)) in WGSL. */
const polynomial = (coefficients: readonly number[], variable: string): string =>
  coefficients.map(wgslFloat).reduceRight((sum, coefficient) => `fma(${sum}, ${variable}, ${coefficient})`);

/** Beyond ±88 e^x leaves the range of f32. */
const largestExponent = wgslFloat(88);

/** The functions' bodies. A shader may take infinities for granted nowhere, so arguments of exp stay in its range. */
const bodies: Readonly<Record<GateFunction, string>> = {
  relu2: "return select(x * x, 0.0, x < 0.0);",
  relu: "return select(x, 0.0, x < 0.0);",
  silu: `return x / (1.0 + exp(min(-x, ${largestExponent})));`,
  // ½x·erfc(-x/√2), which keeps its digits where erf is near -1
  gelu: `let z = min(abs(x) * ${wgslFloat(Math.SQRT1_2)}, 9.3);
  let t = 1.0 / (1.0 + 0.5 * z);
  let complement = t * ${polynomial(scaledErfc, "t")} * exp(-z * z);
  return 0.5 * x * select(2.0 - complement, complement, x < 0.0);`,
  // ½(1 + tanh u) is 1/(1 + e^(-2u))
  "gelu-tanh": `let u = ${wgslFloat(-2 * Math.sqrt(2 / Math.PI))} * (x + 0.044715 * x * x * x);
  return x / (1.0 + exp(min(u, ${largestExponent})));`,
};

/** WGSL of `fn gate_function(x: f32) -> f32`, as the ops nn.relu2, aten.relu, nn.silu and nn.gelu are defined. */
export const gateDeclaration = (gate: GateFunction): string =>
  `fn gate_function(x: f32) -> f32 {\n  ${bodies[gate]}\n}`;
