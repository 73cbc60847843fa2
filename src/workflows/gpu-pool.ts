import {
  ActivityCancellationType,
  allHandlersFinished,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  proxyActivities,
  setCurrentDetails,
  setDefaultSignalHandler,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from "@temporalio/workflow";
import type { PoolActivities } from "../contract/activities.ts";
import type { GpuPoolInput } from "../contract/inputs.ts";
import type { Intent, Message, PoolStatus } from "../contract/messages.ts";
import type { Plan, Snapshot } from "../contract/plan.ts";
import { GPU_POOL } from "../contract/search-attributes.ts";
import { type Inbox, openInbox } from "./inbox.ts";
import { type Parsed, parseScale } from "./messages.ts";
import { describePool } from "./pool-details.ts";
import { summarised } from "./summarised.ts";
import { signalWorkers, startWorkers } from "./workers.ts";

const store = summarised<Omit<PoolActivities, "watchPool">>(
  {
    startToCloseTimeout: "30s",
    retry: { initialInterval: "250ms", maximumInterval: "30s", nonRetryableErrorTypes: ["InvalidConfig"] },
  },
  {
    openPool: "open the pool's row: who lives?",
    recordMessage: "write down what an operator said",
    journalIgnored: "journal a message that cannot be read",
    reserveWorkers: "book new workers within all caps",
  },
);

const { watchPool } = proxyActivities<PoolActivities>({
  startToCloseTimeout: "6m",
  heartbeatTimeout: "30s",
  cancellationType: ActivityCancellationType.TRY_CANCEL,
  retry: { initialInterval: "250ms", maximumInterval: "30s" },
  summary: "watch queue and fleet until there is something to do",
});

/** One pool of GPU workers, for ever: watch, perform, and meanwhile write down what operators say. */
export async function gpuPool(input: GpuPoolInput): Promise<void> {
  const { pool, carried } = input;
  let phase: PoolStatus["phase"] = "starting";
  let snapshot: Snapshot | null = carried?.snapshot ?? null;
  let lastDecision: PoolStatus["lastDecision"] = null;
  let watches = carried?.watches ?? 0;
  let closing = false;

  const inbox = openInbox(
    {
      record: (message) => store.recordMessage(pool, message),
      journalIgnored: (kind, reason) => store.journalIgnored(pool, kind, reason),
    },
    carried?.messages ?? 0,
  );
  const status = (): PoolStatus => ({ pool, phase, snapshot, lastDecision, watches, messages: inbox.received() });
  handleMessages(inbox, status, () => closing);

  // A cancelled pool is shut down first: pods must not outlive the workflow that would have buried them.
  CancellationScope.current().cancelRequested.catch(async () => {
    closing = true;
    await inbox.post({ kind: "shutdown" });
  });
  await CancellationScope.nonCancellable(run);
  throw new CancelledFailure(`pool ${pool} was shut down: no pod is left`);

  async function run(): Promise<void> {
    if (carried === undefined) {
      // A start from the plain CLI need not know about search attributes.
      upsertSearchAttributes([{ key: GPU_POOL, value: pool }]);
      const { living } = await store.openPool(pool, input.config ?? {});
      await startWorkers(pool, living);
    }
    for (;;) {
      phase = closing ? "closing" : "watching";
      const plan = await watchPool(pool, snapshot !== null);
      watches += 1;
      snapshot = plan.snapshot ?? snapshot;
      phase = closing ? "closing" : "performing";
      await perform(plan);
      setCurrentDetails(describePool(status()));
      if (closing && snapshot !== null && isEmpty(snapshot) && snapshot.intent.mode === "closing") {
        return;
      }
      if (!closing && isHistoryLong(input)) {
        await condition(() => closing || (inbox.isEmpty() && allHandlersFinished()));
        // The next run would not know of a cancellation that came meanwhile.
        if (!closing) {
          const messages = inbox.received();
          await continueAsNew<typeof gpuPool>({ ...input, carried: { snapshot, watches, messages } });
        }
      }
    }
  }

  async function perform(plan: Plan): Promise<void> {
    if (plan.actions.length === 0) {
      return;
    }
    lastDecision = { id: plan.decisionId, actions: plan.actions.length, reason: plan.snapshot?.reason ?? "" };
    await signalWorkers(
      pool,
      plan.actions.filter((action) => action.kind === "signal"),
    );
    for (const action of plan.actions) {
      if (action.kind === "spawn") {
        const { workers } = await store.reserveWorkers(pool, plan.decisionId, action);
        await startWorkers(pool, workers);
      }
    }
  }
}

function handleMessages(inbox: Inbox, status: () => PoolStatus, isClosing: () => boolean): void {
  const refusal = () => (isClosing() ? "the pool is shutting down" : null);

  /** A signal never throws: what cannot be read is journaled and ignored. */
  async function receive(kind: string, parsed: Parsed<Message>): Promise<void> {
    const refused = parsed.ok ? refusal() : parsed.error;
    if (parsed.ok && refused === null) {
      await inbox.post(parsed.value);
    } else {
      inbox.ignore(kind, refused ?? "");
    }
  }
  function validate(parsed: Parsed<unknown>): void {
    const refused = parsed.ok ? refusal() : parsed.error;
    if (refused !== null) {
      throw ApplicationFailure.nonRetryable(refused, "InvalidMessage");
    }
  }
  async function execute(parsed: Parsed<Message>): Promise<Intent> {
    if (!parsed.ok) {
      throw ApplicationFailure.nonRetryable(parsed.error, "InvalidMessage");
    }
    return await inbox.post(parsed.value);
  }

  setHandler(defineQuery<PoolStatus>("status"), status);
  setHandler(defineSignal<[unknown]>("scale"), async (payload) => await receive("scale", parseScale(payload)));
  setHandler(defineUpdate<Intent, [unknown]>("scale"), async (payload) => await execute(parseScale(payload)), {
    validator: (payload) => validate(parseScale(payload)),
  });
  for (const kind of ["drain", "resume", "pause"] as const) {
    const message: Parsed<Message> = { ok: true, value: { kind } };
    setHandler(defineSignal(kind), async () => await receive(kind, message));
    setHandler(defineUpdate<Intent>(kind), async () => await execute(message), { validator: () => validate(message) });
  }
  setDefaultSignalHandler((name) => inbox.ignore(name, "unknown signal; a pool takes scale, drain, resume and pause"));
}

function isHistoryLong({ maxHistoryLength }: GpuPoolInput): boolean {
  const info = workflowInfo();
  return info.continueAsNewSuggested || (maxHistoryLength !== undefined && info.historyLength >= maxHistoryLength);
}

function isEmpty({ spawning, idle, busy, terminating, failing }: Snapshot): boolean {
  return spawning + idle + busy + terminating + failing === 0;
}
