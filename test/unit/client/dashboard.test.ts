import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { layOut } from "../../../src/client/render/dashboard/layout.ts";
import { renderOnce } from "../../../src/client/render/dashboard/once.ts";
import { FIRST_STATE, type Key, press, type ScreenState } from "../../../src/client/render/dashboard/screen-state.ts";
import { bar, lastHour, sparkline } from "../../../src/client/render/dashboard/spark.ts";
import { createStyle, visibleWidth } from "../../../src/client/render/output.ts";
import type { Dashboard, DashboardMinute, DashboardWorker } from "../../../src/contract/dashboard.ts";

const schema = z.fromJSONSchema(
  JSON.parse(readFileSync(new URL("../../../docs/dashboard.schema.json", import.meta.url), "utf8")) as never,
);

const AT = "2026-12-01T12:00:30.000Z";
function ago(sec: number): string {
  return new Date(Date.parse(AT) - sec * 1000).toISOString();
}

const COUNTS = { open: 3, held: 1, blocked: 2, delayed: 0, running: 4, oldestWaitSec: 125 };
const PHASES = { failing: 0, spawning: 1, busy: 4, idle: 1, terminating: 0 };

function minute(minutesAgo: number, changed: Partial<DashboardMinute> = {}): DashboardMinute {
  const at = new Date(Math.floor(Date.parse(AT) / 60_000) * 60_000 - minutesAgo * 60_000).toISOString();
  return { at, ...COUNTS, ...PHASES, desired: 6, completed: 2, failed: 0, usdPerHour: 4.14, ...changed };
}

function worker(id: string, changed: Partial<DashboardWorker> = {}): DashboardWorker {
  return {
    id,
    phase: "busy",
    origin: "pool",
    bootStage: "ready",
    bootStageAt: ago(3000),
    createdAt: ago(3600),
    heartbeatAt: ago(5),
    gpu: "NVIDIA L40S",
    usdPerHour: 0.69,
    task: { id: "0a1b2c3d-0000-4000-8000-000000000000", type: "generate_video", progress: 0.42, startedAt: ago(60) },
    ...changed,
  };
}

function dashboard(changed: Partial<Dashboard> = {}): Dashboard {
  const fleet = [
    worker("main-00000001", { phase: "spawning", task: null, bootStage: "pulling", heartbeatAt: null }),
    worker("main-00000002"),
    worker("労働者-🎬", { origin: "external", usdPerHour: null, gpu: "手元のGPU" }),
    worker("main-00000004", { phase: "idle", task: null }),
  ];
  return {
    pool: "main",
    at: AT,
    observedAt: ago(12),
    mode: "normal",
    hold: null,
    holdUntil: null,
    breaker: "closed",
    desired: 6,
    min: 1,
    max: 10,
    queue: COUNTS,
    workers: PHASES,
    usdPerHour: 4.14,
    account: { usdPerHour: 5, usdToday: 31.5, unpriced: 0, maxUsdPerHour: 10, maxUsdToday: 50 },
    minutes: Array.from({ length: 30 }, (_, index) => minute(30 - index, { open: index, completed: index % 4 })),
    decisions: [
      { at: ago(40), reason: "2 more: 12 tasks wait for 4 workers, threshold 3" },
      {
        at: ago(400),
        reason:
          "キューに十二のタスクがあり🎬、四人の労働者がいるので、もう二人を雇います。それ以上は予算が許しません。長い文",
      },
    ],
    alerts: [
      {
        kind: "queue_waiting",
        subject: "main",
        pool: "main",
        message: "a task waits for a worker since 2026-12-01T10:00:00Z (QUEUE_WAIT_ALERT_MINUTES 60)",
        openedAt: ago(7200),
        whatToDo: "Look why the pool does not grow (gpu-pool explain).",
      },
    ],
    fleetCount: fleet.length,
    fleet,
    ...changed,
  };
}

const unstyled = createStyle(false);
const sizes = [
  { columns: 80, rows: 24 },
  { columns: 160, rows: 50 },
  { columns: 100, rows: 30 },
];

describe("the dashboard as text", () => {
  it("fits its width and shows every part, and its figures are those of its published schema", () => {
    expect(schema.safeParse(dashboard()).error).toBeUndefined();
    for (const width of [80, 120, 160]) {
      const lines = renderOnce(dashboard(), width);
      expect(lines.filter((line) => visibleWidth(line) > width)).toEqual([]);
      const text = lines.join("\n");
      expect(text).toContain("3 open (oldest 2m05s), 1 held, 2 blocked, 0 delayed; 4 running");
      expect(text).toContain("$4.14/h; all pools $5.00 of $10.00/h, $31.50 of $50.00 today");
      expect(text).toContain("11:59:50 2 more: 12 tasks wait");
      expect(text).toContain("→ Look why the pool does not grow");
    }
  });

  it("says what is not there: no minute, no decision, no alert, no worker", () => {
    const none = { minutes: [], decisions: [], alerts: [], fleet: [], fleetCount: 0, observedAt: null, desired: null };
    const text = renderOnce(dashboard(none), 100).join("\n");
    for (const said of ["no minute yet", "NO DECISION YET", "NO ALERT IS OPEN", "never observed", "? wanted"]) {
      expect(text).toContain(said);
    }
    expect(text).not.toContain("WORKER  ");
  });

  it("does not shift columns for characters of East Asia and emoji", () => {
    const lines = renderOnce(dashboard(), 160);
    const head = lines.findIndex((line) => line.startsWith("WORKER "));
    const phases = ["PHASE", "spawning", "busy", "busy", "idle"];
    const places = phases.map((phase, index) => {
      const line = lines[head + index] ?? "";
      return visibleWidth(line.slice(0, line.indexOf(phase)));
    });
    expect(new Set(places).size).toBe(1);
  });
});

describe("the live screen", () => {
  it.each(sizes)("fits $columns columns and $rows rows, whatever it shows", ({ columns, rows }) => {
    const many = Array.from({ length: 200 }, (_, index) => worker(`main-${String(index).padStart(8, "0")}`));
    const alerts = Array.from({ length: 20 }, () => dashboard().alerts[0]!);
    const crowded = dashboard({ fleet: many, fleetCount: 5_000, alerts });
    for (const state of [FIRST_STATE, { ...FIRST_STATE, cursor: 199 }, { ...FIRST_STATE, typed: "漢字".repeat(99) }]) {
      for (const shown of [crowded, dashboard(), dashboard({ fleet: [], fleetCount: 0, alerts: [] })]) {
        const {
          head,
          phases,
          hour,
          alerts: told,
          decisions,
          fleet,
          foot,
        } = layOut(shown, state, { columns, rows }, "no answer from the database ".repeat(9), unstyled);
        const lines = [...head, ...told, ...decisions, ...fleet, foot];
        expect(lines.filter((line) => visibleWidth(line) > columns)).toEqual([]);
        expect(phases.map((line, index) => visibleWidth(line) + 2 + visibleWidth(hour[index] ?? ""))).toSatisfy(
          (widths: number[]) => widths.every((width) => width <= columns),
        );
        expect(lines.length + phases.length).toBeLessThan(rows);
      }
    }
  });

  it("keeps the chosen worker in view, and says how many there are", () => {
    const fleet = Array.from({ length: 200 }, (_, index) => worker(`main-${String(index).padStart(8, "0")}`));
    const at = (cursor: number) =>
      layOut(dashboard({ fleet, fleetCount: 5_000 }), { ...FIRST_STATE, cursor }, sizes[0]!, null, unstyled).fleet;
    for (const cursor of [0, 1, 77, 198, 199]) {
      expect(at(cursor).filter((line) => line.startsWith("›"))).toEqual([
        expect.stringContaining(`main-${String(cursor).padStart(8, "0")}`),
      ]);
    }
    expect(at(0).at(-1)).toBe("… of 5000");
    expect(at(199).at(-1)).toBe("… and 4800 more; gpu-pool workers lists all");
  });
});

describe("the keys of the live screen", () => {
  const shown = dashboard();
  const keys = (...pressed: readonly (string | Key)[]) => {
    let state: ScreenState = FIRST_STATE;
    const effects: unknown[] = [];
    for (const key of pressed) {
      const next = typeof key === "string" ? press(state, shown, key, {}) : press(state, shown, "", key);
      state = next.state;
      effects.push(...(next.effect === null ? [] : [next.effect]));
    }
    return { state, effects };
  };

  it("order nothing before a yes, and then what was asked", () => {
    expect(keys("j", "d").state.asked).toEqual({ kind: "drainWorker", worker: "main-00000002" });
    expect(keys("j", "d", "y").effects).toEqual([{ order: { kind: "drainWorker", worker: "main-00000002" } }]);
    expect(keys("t", "n")).toMatchObject({
      effects: [],
      state: { asked: null, said: "not agreed: nothing was ordered" },
    });
    expect(keys("p", { return: true }).effects).toEqual([]);
    for (const [key, kind] of Object.entries({ p: "pause", r: "resume", D: "drain" })) {
      expect(keys(key, "y").effects).toEqual([{ order: { kind } }]);
    }
    expect(press(FIRST_STATE, { fleet: [] }, "t", {}).state.asked).toBeNull();
  });

  it("choose within the fleet, filter, and quit", () => {
    expect(keys({ upArrow: true }).state.cursor).toBe(0);
    expect(keys({ pageDown: true }).state.cursor).toBe(3);
    expect(keys("/", "l40", "x", { backspace: true }, { return: true }).state).toMatchObject({
      filter: "l40",
      typed: null,
    });
    expect(keys("/", "l4", "0\r").state).toMatchObject({ filter: "l40", typed: null });
    expect(keys("/", "q", { escape: true }).state).toMatchObject({ filter: "", typed: null });
    expect(keys("/", "q", { return: true }, { escape: true }).state.filter).toBe("");
    expect(keys("q").effects).toEqual([{ quit: true }]);
    expect(press({ ...FIRST_STATE, typed: "" }, shown, "c", { ctrl: true }).effect).toEqual({ quit: true });
  });
});

describe("a sparkline", () => {
  it("shows each minute of the last hour at its place, and that a minute is not known", () => {
    const hour = lastHour([minute(1), minute(3), minute(60), minute(61)], AT);
    expect(hour.map((each) => (each === null ? 0 : 1)).join("")).toBe(`1${"0".repeat(56)}101`);
    expect(sparkline([0, 1, 2, null, 7], 5)).toBe("▁▂▃·█");
    expect(sparkline([0, 0, null], 3)).toBe("▁▁·");
  });

  it("shows the highest of several minutes where it has no room for each", () => {
    expect(sparkline([0, 7, 1, 0, null, null], 3)).toBe("█▂·");
    expect(
      sparkline(
        Array.from({ length: 60 }, () => 1),
        25,
      ),
    ).toHaveLength(20);
  });

  it("has a bar for every part that is there", () => {
    expect(bar(1, 1000, 5)).toBe("█░░░░");
    expect(bar(0, 0, 3)).toBe("░░░");
    expect(bar(5, 5, 3)).toBe("███");
  });
});
