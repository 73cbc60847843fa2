import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Verdict } from "../../../src/contract/worker-api.ts";
import { decide } from "../../../src/policy/decide.ts";
import { judgeHealth } from "../../../src/policy/health.ts";
import type { FailedRun, Observation, ObservedWorker } from "../../../src/policy/observation.ts";
import {
  anyObservation,
  anySettings,
  busy,
  idle,
  NOW,
  observe,
  SEC,
  SETTINGS,
  signalled,
  task,
  times,
} from "../../kit/policy.ts";

const MINUTE = 60 * SEC;

function run(overrides: Partial<FailedRun> = {}): FailedRun {
  return { tasks: 3, sinceMs: NOW - 2 * MINUTE, othersCompletedMs: NOW - 30 * MINUTE, ...overrides };
}

function judge(worker: ObservedWorker, overrides: Partial<Observation> = {}): Verdict | null {
  return judgeHealth(SETTINGS, observe([worker], overrides)).verdicts[0]?.verdict ?? null;
}

describe("a worker that fails every task", () => {
  it("is sick if another one completes tasks of the same types; what it holds goes back uncounted", () => {
    expect(judge(busy({ failedRun: run() }))).toEqual({
      evidence: "failures",
      leaseCause: "host_lost",
      reason:
        "it is sick: it failed 3 different tasks in a row within 10 min, and another worker completes tasks of the same types",
      heartbeatMs: null,
      failedSinceMs: NOW - 2 * MINUTE,
    });
  });

  it("is not sick after fewer tasks than SICK_WORKER_MIN_TASKS", () => {
    expect(judge(idle({ failedRun: run({ tasks: 2 }) }))).toBeNull();
    expect(judge(idle({ failedRun: null }))).toBeNull();
  });

  it("is proven sick by a completion within SICK_WORKER_PROOF_MINUTES, or by any since its run began", () => {
    expect(judge(idle({ failedRun: run({ othersCompletedMs: NOW - 60 * MINUTE }) }))?.evidence).toBe("failures");
    expect(judge(idle({ failedRun: run({ othersCompletedMs: NOW - 61 * MINUTE }) }))).toBeNull();
    const long = { sinceMs: NOW - 90 * MINUTE, othersCompletedMs: NOW - 80 * MINUTE };
    expect(judge(idle({ failedRun: run(long) }))?.evidence).toBe("failures");
  });

  it("is not ended while nobody completes such tasks: an alert says so, with a message that does not change", () => {
    const alone = idle({ id: "w-alone", failedRun: run({ othersCompletedMs: null }) });
    const { actions, conditions: alerts } = decide(SETTINGS, observe([alone]));
    expect(signalled(actions, "fail")).toEqual([]);
    expect(alerts).toEqual([
      {
        kind: "worker_sick",
        subject: "w-alone",
        message:
          "it failed at least 3 different tasks in a row within 10 min, and no other worker completes such tasks",
      },
    ]);
    const later = idle({ id: "w-alone", failedRun: run({ tasks: 7, othersCompletedMs: null }) });
    expect(decide(SETTINGS, observe([later])).conditions).toEqual(alerts);
    expect(decide(SETTINGS, observe([idle({ failedRun: run() })])).conditions).toEqual([]);
  });

  it("is suspected only, so at most half of the fleet ends for it in five minutes (invariant 4)", () => {
    const sick = times(6, () => idle({ failedRun: run() }));
    const { verdicts, suspended } = judgeHealth(SETTINGS, observe(sick));
    expect(verdicts).toHaveLength(3);
    expect(suspended).toContain("blast radius: 3 suspected wait");
    expect(judgeHealth(SETTINGS, observe(sick, { failedRecently: 3 })).verdicts).toHaveLength(1);
  });
});

describe("a worker that reported itself broken", () => {
  const broken = { brokenReason: "it reported itself error: CUDA error: device-side assert" };

  it("is ended at once, with its own words as the reason, whatever it does and however many there are", () => {
    const ended = { evidence: "report", leaseCause: "worker_died", reason: broken.brokenReason, heartbeatMs: null };
    expect(judge(idle(broken))).toEqual(ended);
    expect(judge(busy({ ...broken, task: task({ progressMs: NOW }) }))).toEqual(ended);
    const all = times(4, () => idle(broken));
    expect(judgeHealth(SETTINGS, observe(all)).verdicts).toHaveLength(4);
  });

  it("is no capacity, and is replaced", () => {
    const settings = { ...SETTINGS, minActiveGpus: 1 };
    const { actions, snapshot } = decide(settings, observe([idle(broken)]));
    expect(snapshot).toMatchObject({ idle: 0, desired: 1 });
    expect(actions.map(({ kind }) => kind)).toEqual(["signal", "spawn"]);
  });
});

describe("an external worker", () => {
  it("that is sick or broken is drained in its row and never signalled; it does not count any more when broken", () => {
    const external = { origin: "external", status: "active" } as const;
    const fleet = [
      idle({ ...external, id: "sick", failedRun: run() }),
      idle({ ...external, id: "broken", brokenReason: "it reported itself crashed" }),
      idle({ ...external, id: "well" }),
    ];
    const { actions, externalVerdicts, snapshot } = decide(SETTINGS, observe(fleet));
    expect(externalVerdicts.map(({ worker, verdict }) => [worker, verdict.evidence])).toEqual([
      ["sick", "failures"],
      ["broken", "report"],
    ]);
    expect(actions).toEqual([]);
    expect(snapshot.idle).toBe(2);
  });
});

it("for every observation, no verdict on failures without a long enough run and another worker's success", () => {
  let given = 0;
  fc.assert(
    fc.property(anySettings, anyObservation, (settings, observation) => {
      const { actions, externalVerdicts } = decide(settings, observation);
      const verdicts = [
        ...externalVerdicts,
        ...actions.flatMap((action) =>
          action.kind === "signal" && action.signal.name === "fail"
            ? [{ worker: action.worker, verdict: action.signal.verdict }]
            : [],
        ),
      ].filter(({ verdict }) => verdict.evidence === "failures");
      given += verdicts.length;
      for (const { worker: id, verdict } of verdicts) {
        const failedRun = observation.fleet.find((worker) => worker.id === id)?.failedRun;
        expect(failedRun?.tasks).toBeGreaterThanOrEqual(settings.sickWorkerMinTasks);
        expect(failedRun?.othersCompletedMs).not.toBeNull();
        expect(verdict.failedSinceMs).toBe(failedRun?.sinceMs);
      }
      expect(new Set(verdicts.map(({ worker }) => worker)).size).toBe(verdicts.length);
    }),
    { numRuns: 600 },
  );
  expect(given).toBeGreaterThan(5);
});
