/**
 * The error function 2/√π ∫₀ˣ e^(-t²) dt, to about the accuracy of f64: by its series of positive terms,
 * 2/√π e^(-x²) Σ 2ⁿ x²ⁿ⁺¹ / (1·3·…·(2n+1)), or for larger x by the continued fraction of its complement,
 * e^(-x²)/√π · 1/(x + ½/(x + 1/(x + 3/2/(x + …)))). Abramowitz and Stegun, Handbook of Mathematical Functions,
 * 7.1.6 and 7.1.14.
 */
export function erf(x: number): number {
  const magnitude = Math.abs(x);
  // the complement is below half of f64's epsilon here
  if (magnitude > 6) return Math.sign(x);
  const density = Math.exp(-x * x) / Math.sqrt(Math.PI);
  if (magnitude > 2) {
    let denominator = magnitude;
    for (let n = fractions; n > 0; n--) denominator = magnitude + n / 2 / denominator;
    return Math.sign(x) * (1 - density / denominator);
  }
  let sum = 0;
  for (let term = 2 * x, n = 3; Math.abs(term) > Math.abs(sum) * 2 ** -54; n += 2) {
    sum += term;
    term *= (2 * x * x) / n;
  }
  // -0 and NaN are what they were
  return sum === 0 ? x : density * sum;
}

/** What is left out changes nothing from 2 on. */
const fractions = 40;
