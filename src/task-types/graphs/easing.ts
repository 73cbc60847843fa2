type Ease = (share: number) => number;

/** How each family begins; its other two curves follow from this one. */
const FAMILIES = {
  quad: power(2),
  cubic: power(3),
  quart: power(4),
  quint: power(5),
  sine: (share: number) => 1 - Math.cos((share * Math.PI) / 2),
  expo: (share: number) => (share === 0 ? 0 : 2 ** (10 * (share - 1))),
} as const;

type Family = keyof typeof FAMILIES;

export type Curve = "linear" | "ease_in_out" | `ease_${"in" | "out" | "in_out"}_${Family}`;

/** Curves from 0 to 1, by the names that clients give them. */
export const EASING: Readonly<Record<Curve, Ease>> = {
  linear: (share) => share,
  ease_in_out: bothWays(FAMILIES.quad),
  ...(Object.fromEntries(
    Object.entries(FAMILIES).flatMap(([name, ease]) => [
      [`ease_in_${name}`, ease],
      [`ease_out_${name}`, (share: number) => 1 - ease(1 - share)],
      [`ease_in_out_${name}`, bothWays(ease)],
    ]),
  ) as Record<`ease_${"in" | "out" | "in_out"}_${Family}`, Ease>),
};

export const CURVES = Object.keys(EASING) as readonly Curve[];

function power(exponent: number): Ease {
  return (share) => share ** exponent;
}

function bothWays(ease: Ease): Ease {
  return (share) => (share < 0.5 ? ease(2 * share) / 2 : 1 - ease(2 * (1 - share)) / 2);
}
