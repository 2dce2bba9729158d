import type { Target } from "./target.ts";
import { wgslFloat } from "./wgsl.ts";

/** Of 127, with as many bits as an f32 has: 127 · 2^17. */
const codeMantissa = 127 * 2 ** 17;

/**
 * WGSL of `fn quantization_scale(absmax: f32) -> f32`: 127 / max(absmax, 1e-5), correctly rounded, for finite numbers.
 *
 * WGSL's quotient of the mantissas may be 2.5 units off. A quotient Q of 24 bits leaves the rest 127 · 2^k - Q · m with
 * k of 40 or 41, which u32 holds modulo 2^32, where 127 · 2^k is 0. Comparing the rest with odd multiples of m / 2
 * tells how many units Q is off; it is never halfway, since 127 · 2^41 has no odd divisor of 25 bits.
 */
export const scaleDeclaration = `fn quantization_scale(absmax: f32) -> f32 {
  let bits = bitcast<u32>(max(absmax, ${wgslFloat(1e-5)}));
  let mantissa = (bits & 0x7fffffu) | 0x800000u;
  let is_small = mantissa <= ${codeMantissa}u;
  let dividend = select(${wgslFloat(codeMantissa * 2 ** 24)}, ${wgslFloat(codeMantissa * 2 ** 23)}, is_small);
  let quotient = u32(dividend / bitcast<f32>((bits & 0x7fffffu) | 0x4b000000u));
  let unit = i32(mantissa);
  let rest = 2 * bitcast<i32>(0u - quotient * mantissa);
  let up = u32(rest > unit) + u32(rest > 3 * unit) + u32(rest > 5 * unit);
  let down = u32(rest < -unit) + u32(rest < -3 * unit) + u32(rest < -5 * unit);
  let exponent = select(258u, 259u, is_small) - (bits >> 23u);
  return bitcast<f32>((exponent << 23u) + quotient + up - down);
}`;

/** Adding 1.5 · 2^23 rounds an f32 of less than 2^22 to an integer, halves to even, in the low bits of the sum. */
const roundingMagic = 1.5 * 2 ** 23;

/**
 * WGSL of `fn pack_codes(values: vec4<f32>, scale: f32) -> u32`: four codes round_half_even(value · scale), the first
 * in the lowest byte. Products are at most 127 and a rounding error; `min` is there to keep a compiler from fusing
 * product and sum, which would round once where the codes are defined by two roundings.
 */
export const packDeclaration = `fn pack_codes(values: vec4<f32>, scale: f32) -> u32 {
  let rounded = bitcast<vec4<u32>>(min(values * scale, vec4<f32>(127.0)) + ${wgslFloat(roundingMagic)});
  return (rounded.x & 0xffu) | ((rounded.y << 8u) & 0xff00u) | ((rounded.z << 16u) & 0xff0000u) | (rounded.w << 24u);
}`;

/** WGSL of `fn dot_codes(a: u32, b: u32) -> i32`: the sum of products of four signed bytes each. */
export const dotDeclaration = (target: Target): string =>
  target.packedDot
    ? "fn dot_codes(a: u32, b: u32) -> i32 { return dot4I8Packed(a, b); }"
    : `fn signed_bytes(word: u32) -> vec4<i32> {
  return bitcast<vec4<i32>>(vec4<u32>(word) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u);
}
fn dot_codes(a: u32, b: u32) -> i32 { return dot(signed_bytes(a), signed_bytes(b)); }`;
