import { describe, expect, it } from "vitest";
import { decide } from "../../../src/policy/decide.ts";
import { settingsAt } from "../../../src/policy/schedule.ts";
import type { Schedule } from "../../../src/contract/pool-settings.ts";
import { observe, SETTINGS, spawnOf } from "../../kit/policy.ts";

const OFFICE: Schedule = {
  name: "office",
  days: ["mon", "tue", "wed", "thu", "fri"],
  from: "08:00",
  to: "18:00",
  timeZone: "Europe/Berlin",
  minActiveGpus: 2,
};

function openAt(window: Partial<Schedule>, iso: string) {
  return settingsAt({ ...SETTINGS, schedules: [{ ...OFFICE, ...window }] }, Date.parse(iso)).schedule !== null;
}

describe("a window of the week", () => {
  it.for([
    ["before it begins", "2026-11-23T06:59:59.999Z", false],
    ["as it begins", "2026-11-23T07:00:00Z", true],
    ["just before its end", "2026-11-23T16:59:59.999Z", true],
    ["at its end", "2026-11-23T17:00:00Z", false],
    ["on another day", "2026-11-22T10:00:00Z", false],
    ["in summer, an hour earlier by UTC", "2026-07-06T06:00:00Z", true],
    ["in summer, before", "2026-07-06T05:59:00Z", false],
    ["in summer, after", "2026-07-06T16:00:00Z", false],
  ] as const)("%s", ([, iso, isOpen]) => {
    expect(openAt({}, iso)).toBe(isOpen);
  });

  it.for([
    ["on its own day, before", "2026-11-27T20:59:00Z", false],
    ["on its own day", "2026-11-27T21:00:00Z", true],
    ["after midnight", "2026-11-28T00:30:00Z", true],
    ["at its end on the next day", "2026-11-28T05:00:00Z", false],
    ["after midnight, when it did not begin the day before", "2026-11-27T00:30:00Z", false],
  ] as const)("over midnight, %s", ([, iso, isOpen]) => {
    expect(openAt({ days: ["fri"], from: "22:00", to: "06:00" }, iso)).toBe(isOpen);
  });

  it.for([
    ["00:00", "24:00", "2026-11-22T22:59:59Z", false],
    ["00:00", "24:00", "2026-11-22T23:00:00Z", true],
    ["00:00", "24:00", "2026-11-23T22:59:59Z", true],
    ["00:00", "24:00", "2026-11-23T23:00:00Z", false],
    ["00:00", "00:00", "2026-11-23T22:59:59Z", true],
    ["00:00", "00:00", "2026-11-23T23:00:00Z", false],
    ["08:00", "08:00", "2026-11-24T06:59:59Z", true],
    ["08:00", "08:00", "2026-11-24T07:00:00Z", false],
    ["18:00", "00:00", "2026-11-23T22:59:59Z", true],
    ["18:00", "00:00", "2026-11-23T23:00:00Z", false],
  ] as const)("from %s to %s on a Monday at %s: %s", ([from, to, iso, isOpen]) => {
    expect(openAt({ days: ["mon"], from, to }, iso)).toBe(isOpen);
  });

  it.for([
    // Europe/Berlin, 25 October 2026: clocks go back from 03:00 to 02:00, at 01:00Z.
    ["begins once", "02:30", "10:00", "2026-10-25T00:29:00Z", false],
    ["begins at the first of the two times", "02:30", "10:00", "2026-10-25T00:30:00Z", true],
    ["does not close when clocks go back", "02:30", "10:00", "2026-10-25T01:10:00Z", true],
    ["ends by the new clock", "02:30", "10:00", "2026-10-25T08:59:00Z", true],
    ["ends by the new clock, after", "02:30", "10:00", "2026-10-25T09:00:00Z", false],
    ["ends once", "00:00", "02:30", "2026-10-25T00:29:00Z", true],
    ["does not open again", "00:00", "02:30", "2026-10-25T01:10:00Z", false],
    ["lasts 25 hours", "00:00", "24:00", "2026-10-25T22:59:00Z", true],
    // 29 March 2026: clocks go forward from 02:00 to 03:00, at 01:00Z.
    [
      "that begins in the skipped hour has not begun just after the jump",
      "02:30",
      "10:00",
      "2026-03-29T01:29:00Z",
      false,
    ],
    [
      "that begins in the skipped hour begins half an hour after the jump",
      "02:30",
      "10:00",
      "2026-03-29T01:30:00Z",
      true,
    ],
    ["that lies in the skipped hour is not lost", "02:10", "02:50", "2026-03-29T01:30:00Z", true],
    ["lasts 23 hours", "00:00", "24:00", "2026-03-29T22:00:00Z", false],
  ] as const)("where clocks change, %s", ([, from, to, iso, isOpen]) => {
    expect(openAt({ days: ["sun"], from, to }, iso)).toBe(isOpen);
  });

  it.for([
    ["America/New_York", "2026-11-24T00:30:00Z", true],
    ["Asia/Kolkata", "2026-11-23T13:29:00Z", false],
    ["Asia/Kolkata", "2026-11-23T13:30:00Z", true],
    ["Pacific/Auckland", "2026-11-23T06:00:00Z", true],
    ["Pacific/Auckland", "2026-11-23T11:00:00Z", false],
  ] as const)("on a Monday evening of %s at %s: %s", ([timeZone, iso, isOpen]) => {
    expect(openAt({ timeZone, days: ["mon"], from: "19:00", to: "24:00" }, iso)).toBe(isOpen);
  });
});

describe("the settings in force", () => {
  const MONDAY_NOON = Date.parse("2026-11-23T11:00:00Z");
  const at = (schedules: readonly Schedule[], nowMs = MONDAY_NOON) => settingsAt({ ...SETTINGS, schedules }, nowMs);

  it("are the configured ones if no window is open", () => {
    const settings = { ...SETTINGS, schedules: [{ ...OFFICE, days: ["sun" as const] }] };
    expect(settingsAt(settings, MONDAY_NOON)).toEqual({ settings, schedule: null });
  });

  it("are changed field by field; if two windows are open, the later one wins", () => {
    const base = { ...OFFICE, name: "base", minActiveGpus: 1, maxActiveGpus: 7, machinesToKeepIdle: 3 };
    const late = { ...OFFICE, name: "late", minActiveGpus: 4, maxActiveGpus: undefined };
    const { settings, schedule } = at([base, late]);
    expect(settings).toEqual({
      ...SETTINGS,
      schedules: [base, late],
      minActiveGpus: 4,
      maxActiveGpus: 7,
      machinesToKeepIdle: 3,
    });
    expect(schedule).toBe("base, late");
  });

  it("may be zero, and MIN is never above MAX", () => {
    const { maxActiveGpus, minActiveGpus } = at([{ ...OFFICE, maxActiveGpus: 0 }]).settings;
    expect([minActiveGpus, maxActiveGpus]).toEqual([0, 0]);
  });

  it("are used by the decision, which names the window", () => {
    const settings = { ...SETTINGS, schedules: [{ ...OFFICE, maxActiveGpus: 3 }] };
    const decided = (nowMs: number) => decide(settings, observe([], { nowMs, queued: 30 }));
    expect(decided(MONDAY_NOON).snapshot).toMatchObject({ schedule: "office", desired: 3, rule: "max" });
    expect(spawnOf(decided(MONDAY_NOON).actions)).toMatchObject({ count: 3, max: 3 });
    expect(decided(Date.parse("2026-11-22T11:00:00Z")).snapshot).toMatchObject({ schedule: null, desired: 10 });
  });
});
