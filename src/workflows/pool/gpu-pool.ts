import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
  setCurrentDetails,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from "@temporalio/workflow";
import { type CycleSummary, summariseCycle } from "../../contract/cycle-summary.ts";
import { DEPLOYMENT, deploymentOf } from "../../contract/deployment.ts";
import { explain } from "../../contract/explanations.ts";
import { FAILURES } from "../../contract/failures.ts";
import type { GpuPoolInput } from "../../contract/inputs.ts";
import type { Plan, Snapshot } from "../../contract/plan.ts";
import { GPU_POOL } from "../../contract/search-attributes.ts";
import { isWhole, show } from "../payloads.ts";
import { invalidInput, requireInput } from "../require-input.ts";
import { poolActivities, watchActivity } from "./activities.ts";
import { describePool } from "./details.ts";
import { handleMessages, shutDown } from "./handle-messages.ts";
import { tooLong } from "./parse-messages.ts";
import { perform } from "./perform.ts";
import { journalRefusal, reasonOfRefusal } from "./refusals.ts";
import {
  beginPool,
  carriedOn,
  isFull,
  messagesSettled,
  noteIntent,
  type PoolState,
  settledWhileOpen,
  statusOf,
} from "./state.ts";
import { startWorkers } from "./workers.ts";

/**
 * Continue as new after this many events. The server suggests it much later, but each replay reads the whole history.
 */
const LONG_HISTORY = 1_000;
/** A plan that took longer is not carried out: a watch takes at most six minutes. */
const PLAN_HOLDS_MS = 10 * 60_000;

/**
 * One pool of GPU workers: watch, perform, watch again, and meanwhile write operators' messages to the pool's row.
 * @returns the last round's summary, where the input asks for a number of rounds; nothing after a shutdown.
 */
export async function gpuPool(input: GpuPoolInput): Promise<CycleSummary | undefined> {
  requireInput(input, ["pool"]);
  const { pool, rounds } = input;
  if (rounds !== undefined && !(isWhole(rounds) && rounds > 0)) {
    throw invalidInput(`rounds: expected a whole number from 1 on, got ${show(rounds)}`);
  }
  const state = beginPool(input);
  handleMessages(state);

  // A cancelled pool is shut down first, so that no pod outlives the workflow that removes it.
  let cancelled = false;
  CancellationScope.current().cancelRequested.catch(async () => {
    cancelled = true;
    try {
      await shutDown(state);
    } catch (error) {
      // The pool runs on, also where a reset repeats a cancellation that was obeyed before.
      cancelled = false;
      await journalRefusal(pool, "cancel", reasonOfRefusal(error).message);
    }
  });
  const summary = await CancellationScope.nonCancellable(async () => await run(state, input));
  if (cancelled) {
    throw new CancelledFailure(`pool ${pool} was shut down: no pod is left`);
  }
  return summary;
}

async function run(state: PoolState, input: GpuPoolInput): Promise<CycleSummary | undefined> {
  if (input.carried === undefined) {
    await open(state.pool, input);
  }
  for (let round = 1; ; round += 1) {
    const plan = await watch(state, input);
    const booked = plan === null ? [] : await perform(state, plan);
    setCurrentDetails(describePool(statusOf(state)));
    if (state.closing) {
      if (isShutDown(state.snapshot)) {
        await messagesSettled(state);
        // False again if a reset gave an old shutdown once more, for a pool whose row says closing since then.
        if (state.closing) {
          return undefined;
        }
      }
    } else if (input.rounds !== undefined) {
      if (plan !== null && round >= input.rounds && (await settledWhileOpen(state))) {
        return summarise(state.pool, plan, booked);
      }
    } else if ((isFull(state) || isHistoryLong(input)) && (await settledWhileOpen(state))) {
      await continueAsNew<typeof gpuPool>({ ...input, carried: carriedOn(state) });
    }
  }
}

async function open(pool: string, { config = {}, rounds, woken }: GpuPoolInput): Promise<void> {
  // A start from the temporal CLI sets no search attributes.
  upsertSearchAttributes([{ key: GPU_POOL, value: pool }]);
  // An input that cannot be handed on would fail each workflow task, without end.
  const long = tooLong(config);
  if (long !== null) {
    throw ApplicationFailure.nonRetryable(`config: ${long}`, FAILURES.invalidConfig);
  }
  const { firstExecutionRunId: first, runId: run, memo } = workflowInfo();
  const start = { first, run, lasting: rounds === undefined, ...(woken === true && { woken }) };
  const { living, deployment } = await poolActivities.openPool(pool, config, start);
  // Nor does it know the deployment. A history of an older version has none.
  if (deployment !== undefined && deployment !== deploymentOf(memo)) {
    upsertMemo({ [DEPLOYMENT]: deployment });
  }
  await startWorkers(pool, living);
}

/** @returns null when the run became too full to wait for the watch, or the plan is too old to be carried out. */
async function watch(state: PoolState, { rounds }: GpuPoolInput): Promise<Plan | null> {
  state.phase = state.closing ? "closing" : "watching";
  const { snapshot, fingerprint, settings } = state;
  const known = {
    shown: snapshot !== null,
    state: fingerprint,
    settings: settings?.fingerprint ?? null,
    intentVersion: snapshot?.intent.version,
    cycle: state.watches + 1,
  };
  const beganMs = Date.now();
  const { watchPool } = watchActivity(settings?.values.pollSec);
  const plan = await unlessFull(
    state,
    async () => await watchPool(state.pool, rounds === undefined ? known : { ...known, once: true }),
  );
  if (plan === null) {
    return null;
  }
  state.watches += 1;
  if (plan.snapshot !== null) {
    state.snapshot = plan.snapshot;
    noteIntent(state, plan.snapshot.intent);
    state.fingerprint = plan.state;
  }
  state.settings = plan.settings ?? state.settings;
  state.latest = explain(plan) ?? state.latest;
  state.phase = state.closing ? "closing" : "performing";
  // After a reset a plan of long ago would be carried out. The next watch decides anew.
  return rounds === undefined && Date.now() - beganMs > PLAN_HOLDS_MS ? null : plan;
}

/** Gives up waiting when the run becomes full. @returns null then. */
async function unlessFull<T>(state: PoolState, act: () => Promise<T>): Promise<T | null> {
  if (isFull(state)) {
    return null;
  }
  const scope = new CancellationScope();
  let over = false;
  const full = condition(() => over || isFull(state));
  const acting = scope.run(act);
  try {
    const first = await Promise.race([acting, full.then(() => null)]);
    if (first === null) {
      scope.cancel();
      await acting.catch(() => undefined);
    }
    return first;
  } finally {
    over = true;
  }
}

function summarise(pool: string, plan: Plan, booked: readonly string[]): CycleSummary {
  if (plan.snapshot === null) {
    throw ApplicationFailure.nonRetryable(
      `pool ${pool} could not be observed for as long as a watch lasts: no decision was made`,
      FAILURES.notObserved,
    );
  }
  return summariseCycle(pool, { ...plan, snapshot: plan.snapshot }, booked);
}

function isHistoryLong({ maxHistoryLength }: GpuPoolInput): boolean {
  const info = workflowInfo();
  return info.continueAsNewSuggested || info.historyLength >= (maxHistoryLength ?? LONG_HISTORY);
}

/** The row must say closing: an observation from before the shutdown was written down does not count. */
function isShutDown(snapshot: Snapshot | null): boolean {
  if (snapshot === null || snapshot.intent.mode !== "closing") {
    return false;
  }
  const { spawning, idle, busy, terminating, failing } = snapshot;
  return spawning + idle + busy + terminating + failing === 0;
}
