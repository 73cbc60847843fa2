import type { RefusalReason } from "./outcomes.ts";

const CAPACITY_TEXTS = [
  /no (longer any )?instances (currently )?available/i,
  /no longer any instances/i,
  /does not have the resources to deploy/i,
  /could not find any pods with required specifications/i,
  /not enough free gpus/i,
  /supply_constraint/i,
];

const FUNDS_TEXTS = [
  /(balance|funds|credits?) (is|are) (too low|insufficient|exhausted|used up)/i,
  /(insufficient|not enough)[ _-](account[ _-])?(balance|funds|credits?)/i,
  /(please|must) add (more )?(funds|credits?)/i,
  /spend(ing)?[ _-]?(limit|cap|rate)/i,
];

/**
 * The reason of a failed POST. Undefined: the status does not prove the refusal, so a pod may exist.
 *
 * A lack of funds is told by status 402, or by the text of another refusal. Status 400 means a stock-out or a rule
 * violation, so its text decides too.
 */
export function refusalReason(status: number, detail: string): RefusalReason | undefined {
  switch (status) {
    case 401:
      return "unauthorized";
    case 402:
      return "funds";
    case 403:
      return lacksFunds(detail) ? "funds" : "forbidden";
    case 400:
      return lacksFunds(detail) ? "funds" : matches(CAPACITY_TEXTS, detail) ? "capacity" : "invalid";
    case 408:
    case 409:
    case 425:
      return undefined;
    case 429:
      return "rate_limited";
    default:
      return status >= 400 && status < 500 ? (lacksFunds(detail) ? "funds" : "invalid") : undefined;
  }
}

/** Whether an answer speaks of a lack of funds or of a reached spend limit. */
export function lacksFunds(detail: string): boolean {
  return matches(FUNDS_TEXTS, detail);
}

function matches(patterns: readonly RegExp[], text: string): boolean {
  return patterns.some((pattern) => pattern.test(text));
}
