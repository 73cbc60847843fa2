import { describe, expect, it } from "vitest";
import { renderSchedule, viewSchedule } from "../../../../src/client/commands/pool/schedule.ts";
import { localTime, parseTime } from "../../../../src/client/commands/pool/schedule-time.ts";
import { EXIT } from "../../../../src/client/errors.ts";
import { createStyle } from "../../../../src/client/render/output.ts";
import { loadConfig } from "../../../../src/config/config.ts";
import { settingsInForce } from "../../../../src/config/settings-in-force.ts";
import type { Schedule } from "../../../../src/contract/pool-settings.ts";

const BERLIN: Schedule = {
  name: "night",
  days: ["sat", "sun"],
  from: "00:00",
  to: "07:00",
  timeZone: "Europe/Berlin",
  minActiveGpus: 0,
  maxActiveGpus: 2,
};
const NEW_YORK: Schedule = { ...BERLIN, name: "there", timeZone: "America/New_York" };
const NOW_MS = Date.parse("2026-11-25T12:00:00Z");

function instant(text: string, windows: readonly Schedule[] = [BERLIN]): string {
  return new Date(parseTime(text, windows).ms).toISOString();
}

function view(at: string | undefined, schedules: readonly Schedule[] = [BERLIN]) {
  const config = loadConfig({}, { need: [] });
  return viewSchedule("main", settingsInForce(config, {}, { schedules }), at, NOW_MS);
}

describe("a time that a person names", () => {
  it.each([
    ["2027-03-28T01:30", "2027-03-28T00:30:00.000Z"],
    ["2027-03-28 03:30", "2027-03-28T01:30:00.000Z"],
    ["2027-03-28T01:30:15", "2027-03-28T00:30:15.000Z"],
    ["2027-03-28T01:30Z", "2027-03-28T01:30:00.000Z"],
    ["2027-03-28T01:30-05:00", "2027-03-28T06:30:00.000Z"],
    ["2027-07-01", "2027-06-30T22:00:00.000Z"],
  ])("%s is %s by the windows' clock in Berlin", (text, iso) => {
    expect(instant(text)).toBe(iso);
  });

  it("is by UTC where there is no window", () => {
    expect(instant("2027-07-01T10:00", [])).toBe("2027-07-01T10:00:00.000Z");
  });

  it("that clocks never show is the one at which they show an hour more; that they show twice is the first", () => {
    expect(parseTime("2027-03-28T02:30", [BERLIN])).toEqual({
      ms: Date.parse("2027-03-28T01:30:00Z"),
      timeZone: "Europe/Berlin",
      note: "clocks in Europe/Berlin go forward then and never show 02:30: 03:30 is meant",
    });
    expect(parseTime("2027-10-31T02:30", [BERLIN])).toMatchObject({
      ms: Date.parse("2027-10-31T00:30:00Z"),
      note: "clocks in Europe/Berlin go back then and show 02:30 twice: the first time is meant",
    });
    expect(parseTime("2027-10-31T03:30", [BERLIN]).note).toBeNull();
  });

  it("needs its zone where the windows have several", () => {
    expect(() => parseTime("2027-03-28T01:30", [BERLIN, NEW_YORK])).toThrow(
      expect.objectContaining({
        exitCode: EXIT.usage,
        message: expect.stringContaining("several (Europe/Berlin, America/New_York)"),
        advice: "Add Z or an offset, such as 2027-03-28T01:30+01:00.",
      }),
    );
    expect(instant("2027-03-28T01:30Z", [BERLIN, NEW_YORK])).toBe("2027-03-28T01:30:00.000Z");
  });

  it.each(["tomorrow", "2027-02-30", "2027-03-28T25:00", "01:30", "", "2027-03-28T01:30+99:00x"])(
    "is refused: %j",
    (text) => {
      expect(() => parseTime(text, [BERLIN])).toThrow(expect.objectContaining({ exitCode: EXIT.usage }));
    },
  );

  it("is shown with its offset", () => {
    expect(localTime(Date.parse("2027-03-28T00:30:00Z"), "Europe/Berlin")).toBe("2027-03-28T01:30+01:00");
    expect(localTime(Date.parse("2027-03-28T01:30:00Z"), "Europe/Berlin")).toBe("2027-03-28T03:30+02:00");
    expect(localTime(Date.parse("2027-01-01T00:00:00.999Z"), "America/St_Johns")).toBe("2026-12-31T20:30-03:30");
    expect(localTime(Date.parse("2027-01-01T00:00:00Z"), "UTC")).toBe("2027-01-01T00:00Z");
  });
});

describe("the schedule at a time", () => {
  it("says which window is open, what holds, what else would, and until when, daylight saving included", () => {
    const lines = renderSchedule(view("2027-03-28T01:30"), 120, createStyle(false));
    expect(lines).toEqual([
      "pool main: at 2027-03-28T01:30+01:00 Europe/Berlin, open: night",
      "holds      MIN 0, MAX 2, 0 kept idle",
      "else       MIN 2, MAX 10, 0 kept idle",
      "until      2027-03-28T07:00+02:00; then no window is open: MIN 2, MAX 10, 0 kept idle",
      "",
      "WINDOW  DAYS     FROM   TO     TIME ZONE      MIN  MAX  IDLE  OPEN",
      "night   sat sun  00:00  07:00  Europe/Berlin    0    2     -  yes",
    ]);
  });

  it("says what opens next, also a week later", () => {
    expect(view("2027-03-28T08:00")).toMatchObject({
      open: null,
      next: { ms: Date.parse("2027-04-02T22:00:00Z"), open: "night" },
    });
    const weekly = { ...BERLIN, days: ["wed"], from: "12:00", to: "12:30" } as const;
    expect(view(undefined, [weekly])).toMatchObject({ open: null, next: { ms: Date.parse("2026-12-02T11:00:00Z") } });
  });

  it("is as it always is where there is no window, or one that changes nothing", () => {
    expect(view(undefined, [])).toMatchObject({ open: null, next: null, windows: [] });
    expect(renderSchedule(view(undefined, []), 120, createStyle(false)).at(-1)).toContain("has no windows");
    expect(view(undefined, [{ ...BERLIN, minActiveGpus: 2, maxActiveGpus: 10 }]).next).toBeNull();
  });

  it("counts windows of several zones, each by its own clock", () => {
    const both = view("2027-03-28T05:30Z", [BERLIN, NEW_YORK]);
    expect(both).toMatchObject({ open: "there", at: { timeZone: "UTC" } });
    expect(both.windows.map(({ name, isOpen }) => [name, isOpen])).toEqual([
      ["night", false],
      ["there", true],
    ]);
  });
});
