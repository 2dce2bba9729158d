/** Conversions between f32 and the 16-bit floats, on raw bits. Rounding is half to even (IEEE 754-2019 §4.3.1). */

const scratch = new Float32Array(1);
const bits = new Uint32Array(scratch.buffer);

const half = new Float32Array(65536);
for (let h = 0; h < 65536; h++) {
  const exponent = (h >> 10) & 31;
  const fraction = h & 1023;
  const magnitude =
    exponent === 31
      ? fraction === 0
        ? Number.POSITIVE_INFINITY
        : Number.NaN
      : exponent === 0
        ? fraction * 2 ** -24
        : (1 + fraction / 1024) * 2 ** (exponent - 15);
  half[h] = h & 0x8000 ? -magnitude : magnitude;
}

export const float16ToFloat32 = (h: number): number => half[h]!;

export function float32ToFloat16(value: number): number {
  scratch[0] = value;
  const word = bits[0]!;
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // rounds to 65536 or more: infinity
  if (magnitude >= 0x38800000) {
    // normal: move the exponent's bias from 127 to 15, round 13 fraction bits away
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  if (magnitude < 0x33000000) return sign; // below half of the smallest subnormal, 2^-25
  const shift = 126 - (magnitude >>> 23);
  const fraction = (magnitude & 0x7fffff) | 0x800000;
  const floor = fraction >>> shift;
  const rest = fraction & ((1 << shift) - 1);
  const halfway = 1 << (shift - 1);
  return sign | (floor + (rest > halfway || (rest === halfway && (floor & 1) === 1) ? 1 : 0));
}

export function bfloat16ToFloat32(b: number): number {
  bits[0] = b << 16;
  return scratch[0]!;
}

export function float32ToBfloat16(value: number): number {
  scratch[0] = value;
  const word = bits[0]!;
  if ((word & 0x7fffffff) > 0x7f800000) return (word >>> 16) | 0x40;
  return (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
}
