import type { SpendCaps } from "../contract/plan.ts";
import type { Bound } from "./bounds.ts";
import type { Observation, ObservedSpend } from "./observation.ts";
import type { PolicySettings } from "./settings.ts";

/** Sums of binary fractions are slightly wrong. The database, which checks the caps again, counts in decimals. */
const ROUNDING = 1e-9;

export function spendCaps(settings: PolicySettings): SpendCaps {
  return {
    maxHourlySpendUsd: settings.maxHourlySpendUsd ?? null,
    dailyBudgetUsd: settings.dailyBudgetUsd ?? null,
    noFundsProbeMinutes: settings.noFundsProbeMinutes,
  };
}

/** What a worker costs by the catalog counts before what the last one cost, as in reserve_workers. */
export function atPrice(spend: ObservedSpend, catalogUsd: number | null): ObservedSpend {
  if (catalogUsd === null) {
    return spend;
  }
  const hourlyUsd = spend.hourlyUsd + spend.unpriced * catalogUsd;
  return { ...spend, hourlyUsd, priceUsd: catalogUsd, unpriced: 0 };
}

/** How many workers the account's caps leave room for. Without a known spend there is room for none. */
export function budgetBounds(settings: PolicySettings, { spend }: Observation): Bound[] {
  const { maxHourlySpendUsd: hourly, dailyBudgetUsd: daily } = spendCaps(settings);
  if (hourly === null && daily === null) {
    return [];
  }
  if (spend === null) {
    return [{ rule: "budget", room: 0, reason: "a budget is set and the spend is not known yet" }];
  }
  return [
    ...(hourly === null ? [] : [hourlyBound(hourly, spend)]),
    ...(daily === null ? [] : dailyBounds(daily, spend)),
  ];
}

function dailyBounds(daily: number, { todayUsd, priceUsd, unpriced }: ObservedSpend): Bound[] {
  if (todayUsd >= daily) {
    return [{ rule: "budget", room: 0, reason: `DAILY_BUDGET_USD ${daily} reached` }];
  }
  // Without a price the day's sum does not grow, so it would never reach the budget.
  return priceUsd === null ? [oneAtATime(`DAILY_BUDGET_USD ${daily}`, unpriced === 0)] : [];
}

function hourlyBound(cap: number, { hourlyUsd, priceUsd, unpriced }: ObservedSpend): Bound {
  const now = `MAX_HOURLY_SPEND_USD ${cap}, ${usd(hourlyUsd)} now`;
  const left = cap - hourlyUsd;
  if (priceUsd === null) {
    return oneAtATime(now, left > ROUNDING && unpriced === 0);
  }
  const room = left > ROUNDING ? Math.floor(left / priceUsd + ROUNDING) : 0;
  return { rule: "budget", room, reason: `${now}, ${usd(priceUsd)} each` };
}

function oneAtATime(cap: string, mayStart: boolean): Bound {
  return { rule: "budget", room: mayStart ? 1 : 0, reason: `${cap}, one at a time until a price is known` };
}

export function usd(amount: number): string {
  return `$${amount.toFixed(2)}`;
}
