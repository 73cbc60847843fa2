import { beforeAll, describe, expect, it } from "vitest";
import type { PolicySettings } from "../../../src/policy/settings.ts";
import { SEC, SETTINGS, spawnOf, signalled } from "../../kit/policy.ts";
import { live, type Moment, type Script } from "../../kit/policy-world.ts";

/** A Monday. The pool's users are in Berlin, an hour ahead of UTC. */
const DAY = Date.parse("2026-11-23T00:00:00Z");
const STEP_MS = 10 * SEC;
function at(time: string) {
  return Date.parse(`2026-11-23T${time}:00Z`);
}
function between(nowMs: number, from: string, to: string) {
  return nowMs >= at(from) && nowMs < at(to);
}

const script: Script = {
  arrivals(nowMs) {
    const bursts = new Map([
      [at("02:00"), 60],
      [at("10:05"), 90],
      [at("14:00"), 70],
      [at("20:00"), 45],
      [at("22:15"), 5],
    ]);
    const trickles = between(nowMs, "09:00", "18:00") && (nowMs - DAY) % (90 * SEC) === 0;
    return (bursts.get(nowMs) ?? 0) + Number(trickles);
  },
  bootSec: 60,
  taskSec: 180,
  priceUsd: 0.5,
  bootFails: (nowMs) => between(nowMs, "10:00", "10:40"),
  dies: (nowMs, index) => (nowMs === at("02:10") && index < 1) || (nowMs === at("20:10") && index < 2),
  isDeaf: (nowMs) => between(nowMs, "16:00", "16:08"),
  elsewhereUsd: (nowMs) => (between(nowMs, "14:10", "14:40") ? 4 : 0),
};

describe.for(["threshold", "workload"] as const)("a day of a pool by the policy %s", (policy) => {
  const settings: PolicySettings = {
    ...SETTINGS,
    policy,
    maxActiveGpus: 12,
    maxLaunchesPerMinute: 5,
    maxHourlySpendUsd: 5,
    dailyBudgetUsd: 100,
    schedules: [
      {
        name: "office hours",
        days: ["mon"],
        from: "09:00",
        to: "18:00",
        timeZone: "Europe/Berlin",
        minActiveGpus: 2,
        machinesToKeepIdle: 1,
      },
      { name: "night", days: ["mon"], from: "18:00", to: "24:00", timeZone: "Europe/Berlin", maxActiveGpus: 6 },
    ],
  };
  const moments: Moment[] = [];
  beforeAll(() => {
    for (const moment of live(settings, script, DAY, STEP_MS)) {
      if (moment.nowMs > DAY + 24 * 3600 * SEC) {
        break;
      }
      moments.push({ ...moment, fleet: moment.fleet.map((worker) => ({ ...worker })) });
    }
  });
  const during = (from: string, to: string) => moments.filter(({ nowMs }) => between(nowMs, from, to));
  const spawned = ({ decision }: Moment) => spawnOf(decision.actions)?.count ?? 0;
  const ready = ({ fleet }: Moment) => fleet.filter(({ status }) => status === "active").length;

  it("ends with every task done, no pod left, and the breaker closed", () => {
    const last = moments.at(-1);
    expect(last?.submitted).toBe(630);
    expect(last).toMatchObject({ completed: 630, fleet: [], observation: { queued: 0 } });
    expect(last?.decision.snapshot).toMatchObject({ desired: 0, breaker: "closed", suspended: null, schedule: null });
    expect(last?.decision.actions).toEqual([]);
  });

  it("never has more workers than MAX, nor spawns above the hour's cap or the launch rate", () => {
    const living = ({ fleet, decision }: Moment) =>
      fleet.filter(({ status }) => status === "spawning" || status === "active").length -
      signalled(decision.actions, "fail").length;
    for (const moment of moments.filter((each) => spawned(each) > 0)) {
      const { observation, decision } = moment;
      const count = spawned(moment);
      expect(living(moment) + count).toBeLessThanOrEqual(spawnOf(decision.actions)?.max ?? 0);
      expect((observation.spend?.hourlyUsd ?? NaN) + count * 0.5).toBeLessThanOrEqual(5);
      expect(observation.launchedLastMinute + count).toBeLessThanOrEqual(5);
    }
    expect(Math.max(...moments.map(living))).toBeLessThanOrEqual(12);
    expect(Math.max(...moments.map(({ fleet }) => fleet.length))).toBeGreaterThanOrEqual(10);
  });

  it("opens the breaker while boots fail, probes with one worker at a time, and recovers", () => {
    const changes = moments.flatMap(({ decision }) => decision.breaker?.state ?? []);
    expect(changes.slice(0, 3)).toEqual(["open", "half_open", "open"]);
    expect(changes.slice(-2)).toEqual(["half_open", "closed"]);
    for (const moment of moments) {
      const boots = moment.fleet.filter(({ status }) => status === "spawning").length;
      const most = { closed: Infinity, half_open: Math.max(0, 1 - boots), open: 0 }[moment.decision.snapshot.breaker];
      expect(spawned(moment)).toBeLessThanOrEqual(most);
    }
    const failing = during("10:00", "10:40").reduce((sum, moment) => sum + spawned(moment), 0);
    expect(failing).toBeLessThan(25);
  });

  it("replaces silent workers, and ends none while all are silent together", () => {
    const failed = (from: string, to: string) =>
      during(from, to).flatMap(({ decision }) => signalled(decision.actions, "fail")).length;
    expect(failed("02:00", "04:00")).toBe(1);
    expect(failed("20:00", "22:00")).toBe(2);
    expect(failed("00:00", "24:00")).toBe(3);
    expect(during("16:00", "16:09").some(({ decision }) => decision.snapshot.suspended !== null)).toBe(true);
  });

  it("shrinks without ending a task when the account's cap is exceeded, and grows again after it", () => {
    const [before, after] = [during("14:09", "14:10").at(-1), during("14:39", "14:40").at(-1)];
    expect(before?.observation.spend?.hourlyUsd).toBe(5);
    // Other pools cost $4 an hour: a dollar is left, and each pool gives up its own part of the excess.
    expect(after?.observation.spend?.hourlyUsd).toBeLessThanOrEqual(5);
    expect(moments.flatMap(({ decision }) => signalled(decision.actions, "terminate"))).toEqual([]);
    expect(Math.max(...during("14:40", "15:10").map(ready))).toBeGreaterThan(2);
  });

  it("keeps MIN and the idle buffer in office hours, and no worker at night", () => {
    const noon = during("12:30", "13:30");
    expect(Math.min(...noon.map(ready))).toBeGreaterThanOrEqual(2);
    expect(noon.at(0)?.decision.snapshot.schedule).toBe("office hours");
    expect(Math.max(...during("06:00", "07:59").map(ready))).toBe(0);
    const evening = during("20:00", "21:30").map(
      ({ fleet }) => fleet.filter(({ status }) => status === "active").length,
    );
    expect(Math.max(...evening)).toBe(6);
  });
});
