import { type Dashboard, type DashboardMinute, WORKER_PHASES, type WorkerPhase } from "../../../contract/dashboard.ts";
import { formatDuration } from "../durations.ts";
import { describeIntent } from "../intent.ts";
import { cut, type Style, visibleWidth } from "../output.ts";
import { type Colour, headline, labelled } from "../rows.ts";
import { bar, lastHour, sparkline } from "./spark.ts";

export const PHASE_COLOURS: Readonly<Record<WorkerPhase, Colour>> = {
  failing: "red",
  spawning: "yellow",
  busy: "green",
  idle: "cyan",
  terminating: "dim",
};

/** A pool that its watch has not looked at for longer is shown as not observed. */
const LATE_MS = 120_000;
const LABEL = 12;
const SPARK_LABEL = 10;
const COUNT = 5;

/** Intent, queue by gate, size and money. */
export function headLines(dashboard: Dashboard, width: number, style: Style): string[] {
  const { pool, at, observedAt, mode, hold, holdUntil, queue, account, breaker } = dashboard;
  const nowMs = Date.parse(at);
  const holdUntilMs = holdUntil === null ? null : Date.parse(holdUntil);
  const row = labelled(width, style);
  const { open, held, blocked, delayed, running, oldestWaitSec } = queue;
  const waits = oldestWaitSec === null ? "" : ` (oldest ${formatDuration(oldestWaitSec * 1000)})`;
  const ageMs = observedAt === null ? null : nowMs - Date.parse(observedAt);
  const seen = ageMs === null ? "never observed" : `observed ${formatDuration(ageMs)} ago`;
  const isLate = ageMs === null || ageMs > LATE_MS;
  const isOver =
    account.usdPerHour > (account.maxUsdPerHour ?? Infinity) || account.usdToday >= (account.maxUsdToday ?? Infinity);
  return [
    headline(pool, describeIntent({ mode, hold, holdUntilMs, version: 0 }, nowMs), width, style),
    row("queue", `${open} open${waits}, ${held} held, ${blocked} blocked, ${delayed} delayed; ${running} running`),
    row(
      "size",
      `${describeSize(dashboard)}; breaker ${breaker.replace("_", "-")}; ${seen}`,
      isLate ? "red" : undefined,
    ),
    row("cost", describeMoney(dashboard), isOver ? "red" : undefined),
  ];
}

function describeSize({ workers, desired, min, max }: Dashboard): string {
  const { spawning, idle, busy } = workers;
  const bounds = min === null || max === null ? "" : ` (${min} to ${max})`;
  return `${spawning + idle + busy} workers, ${desired ?? "?"} wanted${bounds}`;
}

function describeMoney({ usdPerHour, account }: Dashboard): string {
  const of = (usd: number, cap: number | null) => `$${usd.toFixed(2)}${cap === null ? "" : ` of $${cap.toFixed(2)}`}`;
  const unpriced = account.unpriced === 0 ? "" : `; ${account.unpriced} of unknown price`;
  const all = `${of(account.usdPerHour, account.maxUsdPerHour)}/h, ${of(account.usdToday, account.maxUsdToday)} today`;
  return `$${usdPerHour.toFixed(2)}/h; all pools ${all}${unpriced}`;
}

/** A bar for each phase of the pool's workers, in lines of `width` characters. */
export function phaseLines({ workers }: Dashboard, width: number, style: Style): string[] {
  const whole = WORKER_PHASES.reduce((sum, phase) => sum + workers[phase], 0);
  return WORKER_PHASES.map((phase) => {
    const count = String(workers[phase]).padStart(COUNT);
    const drawn = bar(workers[phase], whole, width - LABEL - COUNT - 1);
    const colour = workers[phase] === 0 ? "dim" : PHASE_COLOURS[phase];
    return `${style("dim", phase.padEnd(LABEL))}${style(colour, drawn)} ${count}`;
  });
}

interface Spark {
  readonly label: string;
  readonly of: (minute: DashboardMinute) => number;
  readonly said: (minutes: readonly DashboardMinute[]) => string;
}

const SPARKS: readonly Spark[] = [
  { label: "open", of: ({ open }) => open, said: (minutes) => highest(minutes, ({ open }) => open) },
  {
    label: "workers",
    of: ({ spawning, idle, busy }) => spawning + idle + busy,
    said: (minutes) => highest(minutes, ({ spawning, idle, busy }) => spawning + idle + busy),
  },
  {
    label: "completed",
    of: ({ completed }) => completed,
    said: (minutes) => `${(sum(minutes, ({ completed }) => completed) / Math.max(1, minutes.length)).toFixed(1)}/min`,
  },
  { label: "failed", of: ({ failed }) => failed, said: (minutes) => `${sum(minutes, ({ failed }) => failed)}` },
  {
    label: "$/h",
    of: ({ usdPerHour }) => usdPerHour,
    said: (minutes) => `≤ ${Math.max(0, ...minutes.map(({ usdPerHour }) => usdPerHour)).toFixed(2)}`,
  },
];

function highest(minutes: readonly DashboardMinute[], of: Spark["of"]): string {
  return `≤ ${Math.max(0, ...minutes.map(of))}`;
}

function sum(minutes: readonly DashboardMinute[], of: Spark["of"]): number {
  return minutes.reduce((total, minute) => total + of(minute), 0);
}

/** The last hour, a line for each figure, in lines of at most `width` characters. */
export function hourLines({ minutes, at }: Dashboard, width: number, style: Style): string[] {
  const hour = lastHour(minutes, at);
  const known = hour.filter((minute) => minute !== null);
  const told = SPARKS.map(({ said }) => (known.length === 0 ? "no minute yet" : said(known)));
  const room = width - SPARK_LABEL - 1 - Math.max(...told.map(visibleWidth));
  return SPARKS.map(({ label, of }, index) => {
    const drawn = sparkline(
      hour.map((minute) => minute && of(minute)),
      Math.max(10, room),
    );
    return `${style("dim", label.padEnd(SPARK_LABEL))}${style("cyan", drawn)} ${cut(told[index] ?? "", width - SPARK_LABEL)}`;
  });
}
