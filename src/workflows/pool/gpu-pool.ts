import {
  ActivityCancellationType,
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
  proxyActivities,
  setCurrentDetails,
  upsertSearchAttributes,
  workflowInfo,
} from "@temporalio/workflow";
import type { PoolActivities } from "../../contract/activities.ts";
import type { GpuPoolInput } from "../../contract/inputs.ts";
import type { CycleSummary } from "../../contract/cycle-summary.ts";
import type { Explanation } from "../../contract/explanations.ts";
import type { PoolStatus } from "../../contract/pool-api.ts";
import type { Plan, SettingsView, Snapshot } from "../../contract/plan.ts";
import { GPU_POOL } from "../../contract/search-attributes.ts";
import { explain } from "../../contract/explanations.ts";
import { summariseCycle } from "../../contract/cycle-summary.ts";
import { FAILURES } from "../../contract/failures.ts";
import { openInbox } from "./inbox.ts";
import { describePool } from "./details.ts";
import { handleMessages } from "./handle-messages.ts";
import { summarised } from "../summarised.ts";
import { signalWorkers, startWorkers } from "./workers.ts";

/** Decisions kept for the query `explain`; the journal has them all. */
const EXPLAINED_DECISIONS = 20;
/** Events. The server suggests it much later; but each replay, as after an eviction from the cache, begins at the first. */
const LONG_HISTORY = 1_000;
/** Before the next watch when a plan holds nothing that this code knows: it would come back with the same at once. */
const UNKNOWN_PLAN_PAUSE = "30s";

const store = summarised<Omit<PoolActivities, "watchPool">>(
  {
    startToCloseTimeout: "30s",
    retry: { initialInterval: "250ms", maximumInterval: "30s", nonRetryableErrorTypes: [FAILURES.invalidConfig] },
  },
  {
    openPool: "open the pool's row: who lives?",
    recordMessage: "write down what an operator said",
    journalIgnored: "journal a message that cannot be read",
    reconfigure: "lay settings over the pool's own",
    orderWorker: "look at the worker that an operator means",
    reserveWorkers: "book new workers within all caps",
  },
);

const { watchPool } = proxyActivities<PoolActivities>({
  startToCloseTimeout: "6m",
  heartbeatTimeout: "30s",
  cancellationType: ActivityCancellationType.TRY_CANCEL,
  // Else the process that runs the workflow would keep every watch, and a new version beside it would get none.
  allowEagerDispatch: false,
  retry: { initialInterval: "250ms", maximumInterval: "30s" },
  summary: "watch queue and fleet until there is something to do",
});

/**
 * One pool of GPU workers, for ever: watch, perform, and meanwhile write down what operators say.
 * @returns what the last round did, where the input asks for a number of rounds; nothing after a shutdown.
 */
export async function gpuPool(input: GpuPoolInput): Promise<CycleSummary | undefined> {
  const { pool, carried } = input;
  let phase: PoolStatus["phase"] = "starting";
  let snapshot: Snapshot | null = carried?.snapshot ?? null;
  let state = carried?.state;
  let settings: SettingsView | null = carried?.settings ?? null;
  let decisions: readonly Explanation[] = carried?.decisions ?? [];
  let latest: Explanation | null = carried?.latest ?? null;
  let watches = carried?.watches ?? 0;
  let closing = false;
  let cancelled = false;

  const inbox = openInbox(carried?.messages ?? 0);
  const status = (): PoolStatus => {
    const lastDecision = outline(decisions[0]);
    return { pool, phase, snapshot, lastDecision, watches, messages: inbox.received() };
  };
  handleMessages({
    pool,
    inbox,
    activities: store,
    status,
    isClosing: () => closing,
    close: () => void (closing = true),
    reconfigured: (now) => void (settings = now),
    explain: () => ({ pool, now: latest ?? decisions[0] ?? null, decisions }),
    config: () => ({ pool, settings }),
  });

  // A cancelled pool is shut down first: pods must not outlive the workflow that would have buried them.
  CancellationScope.current().cancelRequested.catch(async () => {
    closing = true;
    cancelled = true;
    await inbox.post(() => store.recordMessage(pool, { kind: "shutdown" }));
  });
  const summary = await CancellationScope.nonCancellable(run);
  if (cancelled) {
    throw new CancelledFailure(`pool ${pool} was shut down: no pod is left`);
  }
  return summary;

  async function run(): Promise<CycleSummary | undefined> {
    if (carried === undefined) {
      // A start from the plain CLI need not know about search attributes.
      upsertSearchAttributes([{ key: GPU_POOL, value: pool }]);
      const { living } = await store.openPool(pool, input.config ?? {});
      await startWorkers(pool, living);
    }
    for (let round = 1; ; round += 1) {
      phase = closing ? "closing" : "watching";
      const suspended = snapshot !== null && snapshot.suspended !== null;
      const known = { shown: snapshot !== null, state, settings: settings?.fingerprint ?? null, suspended };
      const plan = await watchPool(pool, input.rounds === undefined ? known : { ...known, once: true });
      watches += 1;
      if (plan.snapshot !== null) {
        ({ snapshot, state } = plan);
      }
      settings = plan.settings ?? settings;
      latest = explain(plan) ?? latest;
      phase = closing ? "closing" : "performing";
      const booked = await perform(plan);
      setCurrentDetails(describePool(status()));
      if (closing && snapshot !== null && isEmpty(snapshot) && snapshot.intent.mode === "closing") {
        await condition(() => inbox.isEmpty() && allHandlersFinished());
        return undefined;
      }
      if (!closing && input.rounds !== undefined && round >= input.rounds) {
        await condition(() => closing || (inbox.isEmpty() && allHandlersFinished()));
        if (!closing) {
          return summarise(plan, booked);
        }
      }
      if (!closing && input.rounds === undefined && isHistoryLong(input)) {
        await condition(() => closing || (inbox.isEmpty() && allHandlersFinished()));
        // The next run would not know of a cancellation that came meanwhile.
        if (!closing) {
          const messages = inbox.received();
          await continueAsNew<typeof gpuPool>({
            ...input,
            carried: { snapshot, state, settings, decisions, latest, watches, messages },
          });
        }
      }
    }
  }

  /** @returns the ids of the workers that were booked. */
  async function perform(plan: Plan): Promise<string[]> {
    const booked: string[] = [];
    if (plan.actions.length === 0) {
      return booked;
    }
    const signals = plan.actions.filter((action) => action.kind === "signal");
    const spawns = plan.actions.filter((action) => action.kind === "spawn");
    const explanation = explain(plan);
    decisions = [...(explanation === null ? [] : [explanation]), ...decisions].slice(0, EXPLAINED_DECISIONS);
    await signalWorkers(pool, signals);
    for (const action of spawns) {
      const { workers, booked: booking } = await store.reserveWorkers(pool, plan.decisionId, action);
      await startWorkers(pool, workers, booking);
      booked.push(...workers);
    }
    if (signals.length + spawns.length === 0) {
      await condition(() => closing, UNKNOWN_PLAN_PAUSE);
    }
    return booked;
  }

  function summarise(plan: Plan, booked: readonly string[]): CycleSummary {
    if (plan.snapshot === null) {
      throw ApplicationFailure.nonRetryable(
        `pool ${pool} could not be observed for as long as a watch lasts: no decision was made`,
        FAILURES.notObserved,
      );
    }
    return summariseCycle(pool, { ...plan, snapshot: plan.snapshot }, booked);
  }
}

function outline(decision: Explanation | undefined): PoolStatus["lastDecision"] {
  if (decision === undefined) {
    return null;
  }
  const { decisionId: id, reason, actions } = decision;
  return { id, reason, actions: actions.reduce((sum, { count }) => sum + count, 0) };
}

function isHistoryLong({ maxHistoryLength }: GpuPoolInput): boolean {
  const info = workflowInfo();
  return info.continueAsNewSuggested || info.historyLength >= (maxHistoryLength ?? LONG_HISTORY);
}

function isEmpty({ spawning, idle, busy, terminating, failing }: Snapshot): boolean {
  return spawning + idle + busy + terminating + failing === 0;
}
