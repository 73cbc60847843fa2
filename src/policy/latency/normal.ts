const SMALLEST = 1e-12;

/* Coefficients of P. J. Acklam's rational approximation; its relative error is below 1.2e-9. */
const TAIL = 0.02425;
const CENTRE = [
  [-39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716, 2.506628277459239],
  [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1],
] as const;
const ENDS = [
  [
    -0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
    2.938163982698783,
  ],
  [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1],
] as const;

/** The value that a standard normal variable stays below with probability `p`; finite for every p from 0 to 1. */
export function normalQuantile(p: number): number {
  if (p > 0.5) {
    return -normalQuantile(1 - p);
  }
  if (p >= TAIL) {
    const x = p - 0.5;
    return (polynomial(CENTRE[0], x * x) * x) / polynomial(CENTRE[1], x * x);
  }
  const x = Math.sqrt(-2 * Math.log(Math.max(SMALLEST, p)));
  return polynomial(ENDS[0], x) / polynomial(ENDS[1], x);
}

function polynomial(coefficients: readonly number[], x: number): number {
  return coefficients.reduce((sum, coefficient) => sum * x + coefficient, 0);
}
