import { type Api, type CallOptions, getOne, unknown } from "./api.ts";
import type { Absent, RefusalReason, Unknown } from "./outcomes.ts";
import { parseJson } from "./problem.ts";
import { plausibleAmount } from "./plausible.ts";
import { fieldsOf, type Read, textOf } from "./read.ts";
import { redact } from "./redact.ts";

/** The limits of the account. `null` is unknown. */
export interface AccountLimits {
  /** The most that all running pods together may cost, US dollars per hour. A start that exceeds it is refused. */
  readonly spendLimitUsdPerHour: number | null;
  /** What they cost now. */
  readonly spendUsdPerHour: number | null;
}

/** The money of the account. `null` is unknown. */
export interface Balance extends AccountLimits {
  /** US dollars that are left; may be below zero. */
  readonly balanceUsd: number | null;
}

export type GetAccountLimitsOutcome = { readonly kind: "found"; readonly limits: AccountLimits } | Absent | Unknown;

export type GetBalanceOutcome = { readonly kind: "found"; readonly balance: Balance } | Absent | Unknown;

export interface AccountCalls {
  /** Needs a key that may read the account. `absent`: this provider shows no limits. */
  getAccountLimits(options?: CallOptions): Promise<GetAccountLimitsOutcome>;
  /**
   * REST v2 shows no balance, so the older GraphQL API is asked, which the provider will switch off: `absent` then. Nothing
   * but a display may depend on it.
   */
  getBalance(options?: CallOptions): Promise<GetBalanceOutcome>;
}

const BALANCE_QUERY = "query { myself { clientBalance currentSpendPerHr spendLimit } }";

export function createAccountCalls(api: Api): AccountCalls {
  return {
    async getAccountLimits({ signal } = {}) {
      const order = { what: "reading the account's limits", path: "/account/limits", read: readLimits, signal };
      const outcome = await getOne(api, order);
      return outcome.kind === "found" ? { kind: "found", limits: outcome.value } : outcome;
    },
    getBalance: ({ signal } = {}) => getBalance(api, signal),
  };
}

async function getBalance(api: Api, signal: AbortSignal | undefined): Promise<GetBalanceOutcome> {
  const what = "reading the account's balance";
  const answer = await api.graphql(BALANCE_QUERY, signal);
  if (answer.kind === "answer" && (answer.status === 404 || answer.status === 410)) {
    return { kind: "absent" };
  }
  if (answer.kind === "no-answer" || answer.status !== 200) {
    return unknown(api, what, answer);
  }
  const body = fieldsOf(parseJson(answer.text));
  const { myself } = fieldsOf(body["data"]);
  if (typeof myself === "object" && myself !== null) {
    const raw = fieldsOf(myself);
    return {
      kind: "found",
      balance: {
        balanceUsd: plausibleAmount(raw["clientBalance"], { mayBeNegative: true }),
        spendUsdPerHour: plausibleAmount(raw["currentSpendPerHr"]),
        spendLimitUsdPerHour: plausibleAmount(raw["spendLimit"]),
      },
    };
  }
  // GraphQL answers errors with status 200.
  const [error] = Array.isArray(body["errors"]) ? (body["errors"] as readonly unknown[]) : [];
  const said = textOf(fieldsOf(error)["message"]);
  const reason: RefusalReason | undefined = /unauthori[sz]ed|forbidden/i.test(said ?? "") ? "unauthorized" : undefined;
  return said === null
    ? unknown(api, what, answer, "no account")
    : {
        kind: "unknown",
        detail: redact(`${what}: ${said}`, [api.apiKey]),
        ...(reason === undefined ? {} : { reason }),
      };
}

/**
 * The specification names `spendRate` and not its fields, so a plain number and the usual names are understood. A body
 * without it is no account's limits.
 */
function readLimits(body: unknown): Read<AccountLimits> {
  const { spendRate } = fieldsOf(body);
  if (spendRate === undefined || spendRate === null) {
    return { ok: false, detail: "no spendRate" };
  }
  const raw = fieldsOf(spendRate);
  const first = (...names: readonly string[]) =>
    names.map((name) => plausibleAmount(raw[name])).find((amount) => amount !== null) ?? null;
  return {
    ok: true,
    value: {
      spendLimitUsdPerHour: plausibleAmount(spendRate) ?? first("limit", "max", "maximum", "value"),
      spendUsdPerHour: first("current", "used", "usage"),
    },
  };
}
