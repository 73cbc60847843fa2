import { describe, expect, it } from "vitest";
import type { Verdict } from "../../../src/contract/worker-api.ts";
import { decide } from "../../../src/policy/decide.ts";
import { judgeHealth } from "../../../src/policy/health.ts";
import type { Observation, ObservedWorker } from "../../../src/policy/observation.ts";
import {
  busy,
  idle,
  intent,
  NOW,
  observe,
  SEC,
  SETTINGS,
  spawning,
  task,
  terminating,
  signalled,
} from "../../kit/policy.ts";

function judge(worker: ObservedWorker, overrides: Partial<Observation> = {}): Verdict | null {
  return judgeHealth(SETTINGS, observe([worker], overrides)).verdicts[0]?.verdict ?? null;
}

function ago(sec: number) {
  return NOW - sec * SEC;
}

describe("heartbeats", () => {
  it("fail a worker that is silent for longer than the timeout; the verdict holds the last known heartbeat", () => {
    expect(judge(idle({ heartbeatMs: ago(300) }))).toBeNull();
    expect(judge(idle({ heartbeatMs: ago(301) }))).toEqual({
      evidence: "heartbeat",
      leaseCause: "worker_died",
      reason: "no heartbeat for 301 s (GPU_IDLE_TIMEOUT_SEC 300)",
      heartbeatMs: ago(301),
    });
  });

  it("count from the last heartbeat or from the start of good observations, whichever is later (invariant 8)", () => {
    const silent = idle({ heartbeatMs: ago(3600) });
    expect(judge(silent, { observingSinceMs: ago(200) })).toBeNull();
    expect(judge(silent, { observingSinceMs: ago(301) })?.reason).toContain("301 s");
    expect(judge(idle({ heartbeatMs: ago(400) }), { observingSinceMs: ago(3600) })?.reason).toContain("400 s");
  });

  it("do not judge a booting worker, or one that never sent a heartbeat", () => {
    expect(judge(spawning({ heartbeatMs: ago(9000) }))).toBeNull();
    expect(judge(idle({ heartbeatMs: null }))).toBeNull();
  });
});

describe("progress", () => {
  it("is a separate clock: a worker that sends heartbeats is stuck when its task makes no progress (invariant 8)", () => {
    expect(judge(busy({ task: task({ progressMs: ago(600), startedMs: ago(9000) }) }))).toBeNull();
    expect(judge(busy({ task: task({ id: "t9", progressMs: ago(601) }) }))).toEqual({
      evidence: "progress",
      leaseCause: "stuck",
      reason: "task t9 made no progress for 601 s (stuck after 600 s)",
      heartbeatMs: null,
      progressMs: ago(601),
    });
  });

  it("counts from the start of good observations if that is later: nothing can be reported in an outage (invariant 8)", () => {
    const still = busy({ task: task({ progressMs: ago(3600) }) });
    expect(judge(still, { observingSinceMs: ago(600) })).toBeNull();
    expect(judge(still, { observingSinceMs: ago(601) })).toMatchObject({
      reason: "task t1 made no progress for 601 s (stuck after 600 s)",
      progressMs: ago(3600),
    });
  });

  it("counts from the task's start when none was reported", () => {
    expect(judge(busy({ task: task({ progressMs: null, startedMs: ago(600) }) }))).toBeNull();
    expect(judge(busy({ task: task({ progressMs: null, startedMs: ago(601) }) }))?.leaseCause).toBe("stuck");
  });

  it("has the limit of the task's type, if the type has one", () => {
    expect(judge(busy({ task: task({ progressMs: ago(1700), stuckTimeoutSec: 1800 }) }))).toBeNull();
    expect(judge(busy({ task: task({ progressMs: ago(61), stuckTimeoutSec: 60 }) }))?.reason).toContain("after 60 s");
  });
});

describe("the provider's own list", () => {
  it("fails a worker whose pod vanished, with the cause host_lost, also while it boots", () => {
    const absent = { kind: "absent" } as const;
    expect(judge(idle({ podId: "pod-x", pod: absent }))).toEqual({
      evidence: "provider",
      leaseCause: "host_lost",
      reason: "pod pod-x vanished: two complete lists of the provider in a row lack it",
      heartbeatMs: null,
    });
    expect(judge(spawning({ pod: absent }))?.leaseCause).toBe("host_lost");
  });

  it.for([
    ["EXITED", "worker_died"],
    ["ERROR", "worker_died"],
    ["TERMINATED", "worker_died"],
    ["RUNNING", undefined],
    ["STARTING", undefined],
  ] as const)("takes a pod that is %s for %s", ([status, leaseCause]) => {
    expect(judge(idle({ pod: { kind: "listed", status } }))?.leaseCause).toBe(leaseCause);
  });

  it("gives no verdict without evidence (invariant 3)", () => {
    expect(judge(idle({ pod: null }))).toBeNull();
  });
});

describe("the workers that are judged", () => {
  const lost = { pod: { kind: "absent" } } as const;

  it("do not include one in error, an external one, or one that leaves without a task", () => {
    expect(judge(idle({ ...lost, status: "error" }))).toBeNull();
    expect(judge(idle({ ...lost, origin: "external" }))).toBeNull();
    expect(judge(terminating(lost))).toBeNull();
  });

  it("include one that leaves and still holds a task, because its task is waited for", () => {
    expect(judge(terminating({ ...lost, task: task() }))?.leaseCause).toBe("host_lost");
    expect(judge(terminating({ heartbeatMs: ago(301), task: task() }))?.leaseCause).toBe("worker_died");
  });

  it("do not include one that was signalled in the last thirty seconds; it is judged again if nothing came of that", () => {
    const failed = (sec: number) => idle({ ...lost, signal: "fail", signalMs: ago(sec) });
    expect(judge(failed(29))).toBeNull();
    expect(judge(failed(30))?.leaseCause).toBe("host_lost");
    expect(judge(idle({ ...lost, signal: "drain", signalMs: ago(1) }))?.leaseCause).toBe("host_lost");
  });

  it("are the same in every mode, and a verdict comes before scaling", () => {
    for (const mode of ["normal", "paused", "draining", "closing"] as const) {
      const [sick, well] = [idle(lost), busy()];
      const { actions } = decide(SETTINGS, observe([sick, well], intent({ mode })));
      expect(signalled(actions, "fail")).toEqual([sick.id]);
      expect(signalled(actions, "drain")).not.toContain(sick.id);
      expect(actions[0]).toMatchObject({ worker: sick.id });
    }
  });
});
