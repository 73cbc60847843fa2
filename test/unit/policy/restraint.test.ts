import { describe, expect, it } from "vitest";
import { decide } from "../../../src/policy/decide.ts";
import type { Observation, ObservedWorker } from "../../../src/policy/observation.ts";
import {
  busy,
  idle,
  NOW,
  observe,
  SEC,
  SETTINGS,
  spawning,
  task,
  terminating,
  times,
  signalled,
} from "../../kit/policy.ts";

function ago(sec: number) {
  return NOW - sec * SEC;
}
function silent(sec = 400) {
  return idle({ heartbeatMs: ago(sec) });
}
function stuck(sec = 700) {
  return busy({ task: task({ progressMs: ago(sec) }) });
}

function failed(fleet: readonly ObservedWorker[], seen: Partial<Observation> = {}) {
  const { actions, snapshot } = decide(SETTINGS, observe(fleet, seen));
  return { ids: signalled(actions, "fail"), suspended: snapshot.suspended };
}

describe("the blast radius of suspicions (invariant 4)", () => {
  it.for([
    [1, 1, 0, 1],
    [2, 2, 0, 1],
    [5, 5, 0, 2],
    [8, 5, 0, 4],
    [8, 3, 0, 3],
    [8, 5, 2, 3],
    [1, 1, 1, 0],
    [4, 4, 4, 0],
  ] as const)("of %i workers with %i stuck, %i failed before, ends %i", ([living, suspects, failedRecently, ended]) => {
    const fleet = [...times(suspects, stuck), ...times(living - suspects, busy)];
    expect(failed(fleet, { failedRecently }).ids).toHaveLength(ended);
  });

  it("takes the oldest evidence first, and says how many wait", () => {
    const [young, old, mid] = [stuck(650), stuck(900), stuck(800)];
    const { ids, suspended } = failed([young, old, mid, busy()]);
    expect(ids).toEqual([old.id, mid.id]);
    expect(suspended).toBe("blast radius: 1 suspected waits, at most 2 end in five minutes");
    expect(failed([old, mid, busy(), busy()]).suspended).toBeNull();
  });

  it("counts verdicts that were signalled and are not carried out yet, and no other signals", () => {
    const ordered = stuck();
    const fleet = (signal: string, signalMs: number) => [
      { ...ordered, signal, signalMs },
      stuck(),
      busy(),
      busy(),
      busy(),
    ];
    expect(failed(fleet("fail", ago(5))).ids).toHaveLength(1);
    expect(failed([...fleet("fail", ago(5)), stuck()], { failedRecently: 1 }).ids).toHaveLength(1);
    expect(failed([...fleet("ready", ago(5)), stuck()]).ids).toHaveLength(3);
  });

  it("counts living workers, also booting ones and ones that leave with a task, but not ones that leave without a task", () => {
    const held = times(3, stuck);
    const others = [spawning(), terminating({ task: task() }), busy()];
    expect(failed([...held, ...others]).ids).toHaveLength(3);
    expect(failed([...held, terminating(), idle({ status: "error" }), busy({ origin: "external" })]).ids).toHaveLength(
      1,
    );
  });

  it("holds back no verdict that the provider's list proves", () => {
    const lost = times(6, () => busy({ pod: { kind: "absent" } }));
    expect(failed(lost, { failedRecently: 9 })).toEqual({ ids: lost.map(({ id }) => id), suspended: null });
  });
});

describe("when most workers fall silent together (invariant 4)", () => {
  it.for([
    ["all of two", 2, 0, 0],
    ["three of five", 3, 2, 0],
    ["two of four: not most", 2, 2, 2],
    ["one of one: not together", 1, 0, 1],
  ] as const)("%s", ([, quiet, well, ended]) => {
    expect(failed([...times(quiet, silent), ...times(well, busy)]).ids).toHaveLength(ended);
  });

  it("gives the reason why no worker is ended, and ends those that the provider's list proves gone", () => {
    const [gone, a, b] = [{ ...silent(), pod: { kind: "absent" } as const }, silent(), silent()];
    const { ids, suspended } = failed([gone, a, b, busy()]);
    expect(ids).toEqual([gone.id]);
    expect(suspended).toBe(
      "3 of 4 active workers fell silent together (GPU_IDLE_TIMEOUT_SEC 300): only the provider's list ends a silent one",
    );
  });

  it("ends no silent worker for missing progress, but one that sends heartbeats", () => {
    const mute = busy({ heartbeatMs: ago(800), task: task({ progressMs: ago(800) }) });
    const beating = stuck();
    expect(failed([mute, silent(), silent(), beating]).ids).toEqual([beating.id]);
  });

  it("holds back verdicts on progress too while heartbeats and progress stall together, from half of the limit on", () => {
    const stalled = (sec: number) => busy({ heartbeatMs: ago(sec), task: task({ progressMs: ago(sec + 330) }) });
    const { ids, suspended } = failed(Array.from({ length: 10 }, (_, n) => stalled(280 + n)));
    expect(ids).toEqual([]);
    expect(suspended).toMatch(/^10 of 10 active workers fell silent together/);
    expect(failed(times(10, () => stalled(140))).suspended).toBeNull();
  });

  it("counts only active workers of the pool's own", () => {
    const others = [spawning(), spawning(), terminating(), busy({ origin: "external" })];
    expect(failed([silent(), silent(), ...others]).ids).toEqual([]);
    expect(
      failed([silent(), busy(), ...times(3, () => ({ ...silent(), origin: "external" as const }))]).ids,
    ).toHaveLength(1);
  });

  it("ends when they are heard again, and does not begin while observations failed", () => {
    expect(failed(times(4, silent), { observingSinceMs: ago(10) })).toEqual({ ids: [], suspended: null });
    expect(failed(times(4, busy)).suspended).toBeNull();
  });

  it("asks once each to record that the silence began and that it is over", () => {
    const change = (fleet: readonly ObservedWorker[], massSilenceSinceMs: number | null) =>
      decide(SETTINGS, observe(fleet, { massSilenceSinceMs })).massSilence;
    const late = (sec: number) => times(3, () => silent(sec));
    expect(change(late(226), null)).toBe("begun");
    expect(change(late(225), null)).toBeNull();
    expect(change(late(160), ago(200))).toBeNull();
    expect(change(times(3, silent), ago(200))).toBeNull();
    expect(change([silent(), busy(), busy()], ago(200))).toBe("over");
    expect(change([silent(), busy(), busy()], null)).toBeNull();
    expect(change([], ago(200))).toBe("over");
  });

  it("gives a dead worker no further time when the others are late between two heartbeats", () => {
    const settings = { ...SETTINGS, gpuIdleTimeoutSec: 60 };
    const moments = [35, 5].map((sec) =>
      decide(settings, observe([silent(61), ...times(3, () => busy({ heartbeatMs: ago(sec) }))])),
    );
    expect(moments.map(({ massSilence }) => massSilence)).toEqual([null, null]);
    expect(moments.map(({ actions }) => signalled(actions, "fail").length)).toEqual([0, 1]);
  });

  it("gives those that come back last the whole time again", () => {
    const mute = busy({ heartbeatMs: ago(900), task: task({ progressMs: ago(900) }) });
    const fleet = [mute, silent(), busy(), busy()];
    expect(failed(fleet, { massSilenceSinceMs: ago(500) })).toEqual({ ids: [], suspended: null });
    expect(failed(fleet, { observingSinceMs: ago(299) }).ids).toEqual([]);
    expect(failed(fleet, { observingSinceMs: ago(301) }).ids).toEqual([mute.id, fleet[1]!.id]);
  });
});

describe("VRAM figures", () => {
  const warned = (worker: ObservedWorker, seen: Partial<Observation> = {}) =>
    decide(SETTINGS, observe([worker], seen)).warnings;

  it("that heartbeats no longer bring give a warning with the times, and no verdict", () => {
    const worker = busy({ vramMs: ago(301) });
    expect(warned(worker)).toEqual([
      {
        worker: worker.id,
        kind: "worker.vram_stale",
        reason: "heartbeats come, VRAM figures not for 301 s (GPU_IDLE_TIMEOUT_SEC 300)",
      },
    ]);
    expect(failed([worker]).ids).toEqual([]);
    expect(warned(busy({ vramMs: ago(300) }))).toEqual([]);
  });

  it("give no warning for a worker that is silent, leaves or never had any, or while observations failed", () => {
    expect(warned(busy({ vramMs: ago(900), heartbeatMs: ago(301) }))).toEqual([]);
    expect(warned(terminating({ vramMs: ago(900) }))).toEqual([]);
    expect(warned(busy({ vramMs: null }))).toEqual([]);
    expect(warned(busy({ vramMs: ago(900) }), { observingSinceMs: ago(300) })).toEqual([]);
  });
});
