import type { RefusalReason } from "./outcomes.ts";

const CAPACITY_TEXTS = [
  /no (longer any )?instances (currently )?available/i,
  /no longer any instances/i,
  /does not have the resources to deploy/i,
  /could not find any pods with required specifications/i,
  /not enough free gpus/i,
  /supply_constraint/i,
];

const FUNDS_TEXTS = [/balance is too low/i, /insufficient[ _](balance|funds)/i, /spend(ing)?[ _-]?(limit|cap|rate)/i];

/**
 * The reason of a failed POST. Undefined: the status does not prove the refusal, so a pod may exist.
 *
 * Status 400 means a stock-out or a rule violation, and refusals for lack of money have been seen with it. So its text
 * decides.
 */
export function refusalReason(status: number, detail: string): RefusalReason | undefined {
  switch (status) {
    case 401:
      return "unauthorized";
    case 402:
      return "funds";
    case 403:
      return matches(FUNDS_TEXTS, detail) ? "funds" : "forbidden";
    case 400:
      if (matches(FUNDS_TEXTS, detail)) {
        return "funds";
      }
      return matches(CAPACITY_TEXTS, detail) ? "capacity" : "invalid";
    case 408:
    case 409:
    case 425:
      return undefined;
    case 429:
      return "rate_limited";
    default:
      return status >= 400 && status < 500 ? "invalid" : undefined;
  }
}

function matches(patterns: readonly RegExp[], text: string): boolean {
  return patterns.some((pattern) => pattern.test(text));
}
