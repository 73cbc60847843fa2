import type { FastifyInstance } from "fastify";
import { isFaulted } from "../faults.ts";
import { buildLedger } from "../ledger.ts";
import type { SimulatorState } from "../state.ts";

/** `GET /v2/account/limits`. */
export function registerLimitsRoute(app: FastifyInstance, state: SimulatorState): void {
  app.get("/account/limits", async (_request, reply) =>
    (await isFaulted(state, "limits", reply))
      ? reply
      : {
          spendRate: { limit: state.settings().spendLimitUsdPerHour, current: spendUsdPerHour(state) },
          serverlessWorkers: { limit: 0, current: 0 },
        },
  );
}

/** `POST /graphql`: the older API, of which only the balance is known, whatever the query asks for. */
export function registerBalanceRoute(app: FastifyInstance, state: SimulatorState): void {
  const { settings, fleet, now } = state;
  app.post("/graphql", async (_request, reply) => {
    if (await isFaulted(state, "balance", reply)) {
      return reply;
    }
    const myself = {
      clientBalance: settings().creditUsd - buildLedger(fleet.all(), now()).totals.costUsd,
      currentSpendPerHr: spendUsdPerHour(state),
      spendLimit: settings().spendLimitUsdPerHour,
    };
    return { data: { myself } };
  });
}

/** US dollars per hour of all pods that are billed now. */
export function spendUsdPerHour({ fleet }: Pick<SimulatorState, "fleet">): number {
  return fleet
    .all()
    .filter(({ billed }) => billed.at(-1)?.toMs === null)
    .reduce((sum, { costPerHour }) => sum + costPerHour, 0);
}
