import { condition, log } from "@temporalio/workflow";
import { explain } from "../../contract/explanations.ts";
import { isKnown, type Plan } from "../../contract/plan.ts";
import { poolActivities } from "./activities.ts";
import { reasonOfRefusal } from "./refusals.ts";
import type { PoolState } from "./state.ts";
import { signalWorkers, startWorkers } from "./workers.ts";

/** Decisions kept for the query `explain`; the journal has them all. */
const EXPLAINED_DECISIONS = 20;
/** Pause after a plan that cannot be carried out: the next watch would return the same plan at once. */
const USELESS_PLAN_PAUSE = "30s";

/** Executes the actions that this version knows. @returns the ids of the workers that were booked. */
export async function perform(state: PoolState, plan: Plan): Promise<readonly string[]> {
  const { pool } = state;
  if (plan.actions.length === 0) {
    return [];
  }
  const known = plan.actions.filter(isKnown);
  const signals = known.filter((action) => action.kind === "signal");
  const spawns = known.filter((action) => action.kind === "spawn");
  const explanation = explain(plan);
  if (explanation !== null) {
    state.decisions = [explanation, ...state.decisions].slice(0, EXPLAINED_DECISIONS);
  }
  await signalWorkers(pool, signals);
  const booked: string[] = [];
  let useless = known.length === 0;
  for (const action of spawns) {
    try {
      const { workers, booked: booking } = await poolActivities.reserveWorkers(
        pool,
        plan.decisionId,
        action,
        ...(plan.run === undefined ? [] : [plan.run]),
      );
      await startWorkers(pool, workers, booking);
      booked.push(...workers);
    } catch (error) {
      log.error("the database refuses to book workers", { pool, reason: reasonOfRefusal(error).message });
      useless = true;
    }
  }
  if (useless) {
    await condition(() => state.closing, USELESS_PLAN_PAUSE);
  }
  return booked;
}
