/**
 * WGSL: orders logits as unsigned integers, so that comparisons do not depend on what a GPU does with NaN. 0 is NaN,
 * which is below everything; 0 and -0 are equal.
 */
export const logitKey = `fn logit_key(bits: u32) -> u32 {
  let magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) { return 0u; }
  if (magnitude == 0u) { return 0x80000000u; }
  return select(bits | 0x80000000u, ~bits, bits != magnitude);
}`;

/** The key of -∞: logits up to it are no choice. */
export const lowestLogitKey = 0x007fffff;

/** WGSL: the bits of the f32 that a key other than 0 stands for. */
export const logitOfKey = `fn logit_of_key(key: u32) -> u32 {
  return select(~key, key & 0x7fffffffu, key >= 0x80000000u);
}`;
