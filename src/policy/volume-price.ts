/** The provider's price list: GB over 1,000 cost less. */
const USD_PER_GB_MONTH = 0.07;
const USD_PER_FURTHER_GB_MONTH = 0.05;
const FURTHER_GB = 1_000;

/** What a network volume costs a month, used or not, in USD. The provider's bill decides. */
export function volumeUsdPerMonth(sizeGb: number): number {
  const further = Math.max(0, sizeGb - FURTHER_GB);
  return (sizeGb - further) * USD_PER_GB_MONTH + further * USD_PER_FURTHER_GB_MONTH;
}
