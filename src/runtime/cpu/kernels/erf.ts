/**
 * The error function 2/√π ∫₀ˣ e^(-t²) dt, to about the accuracy of f64. Minimax rational approximations of
 * W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969), pp. 631-637:
 * of erf(x)/x in x² up to 0.46875, of e^(x²)·erfc(x) in x up to 4, and of its asymptotic form in 1/x² beyond.
 */
export function erf(x: number): number {
  const magnitude = Math.abs(x);
  if (magnitude <= 0.46875) return x * ratio(near, magnitude * magnitude);
  // e^(-x²) is below half of f64's epsilon here
  if (magnitude > 6) return Math.sign(x);
  const scaled =
    magnitude <= 4 ? ratio(middle, magnitude) : (1 / Math.sqrt(Math.PI) - far(magnitude)) / magnitude;
  const complement = Math.exp(-magnitude * magnitude) * scaled;
  return x < 0 ? complement - 1 : x > 0 ? 1 - complement : x;
}

interface Rational {
  /** Coefficients, highest power first. */
  readonly numerator: readonly number[];
  readonly denominator: readonly number[];
}

const near: Rational = {
  numerator: [
    0.18577770618460315, 3.1611237438705655, 113.86415415105016, 377.485237685302, 3209.3775891384694,
  ],
  denominator: [1, 23.601290952344122, 244.02463793444417, 1282.6165260773723, 2844.236833439171],
};

const middle: Rational = {
  numerator: [
    2.1531153547440383e-8, 0.5641884969886701, 8.883149794388377, 66.11919063714163, 298.6351381974001,
    881.952221241769, 1712.0476126340707, 2051.0783778260716, 1230.3393547979972,
  ],
  denominator: [
    1, 15.744926110709835, 117.6939508913125, 537.1811018620099, 1621.3895745666903, 3290.7992357334597,
    4362.619090143247, 3439.3676741437216, 1230.3393548037495,
  ],
};

const tail: Rational = {
  numerator: [
    0.016315387137302097, 0.30532663496123236, 0.36034489994980445, 0.12578172611122926, 0.016083785148742275,
    0.0006587491615298378,
  ],
  denominator: [
    1, 2.568520192289822, 1.8729528499234604, 0.5279051029514285, 0.06051834131244132, 0.0023352049762686918,
  ],
};

const far = (magnitude: number): number => {
  const z = 1 / (magnitude * magnitude);
  return z * ratio(tail, z);
};

function ratio({ numerator, denominator }: Rational, x: number): number {
  return horner(numerator, x) / horner(denominator, x);
}

function horner(coefficients: readonly number[], x: number): number {
  let sum = 0;
  for (let i = 0; i < coefficients.length; i++) sum = sum * x + coefficients[i]!;
  return sum;
}
