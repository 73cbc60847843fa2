import type { Dashboard } from "../../../contract/dashboard.ts";
import { cut, plain, type Style } from "../output.ts";
import { headLines, hourLines, phaseLines } from "./figures.ts";
import { adviceLine, alertLine, decisionLine, fleetLines, leftOut } from "./lists.ts";
import { questionOf, type ScreenState } from "./screen-state.ts";

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

/** The parts of the live screen, in lines that fit their places. */
export interface Layout {
  readonly head: readonly string[];
  readonly phases: readonly string[];
  readonly hour: readonly string[];
  readonly alerts: readonly string[];
  readonly decisions: readonly string[];
  readonly fleet: readonly string[];
  readonly foot: string;
}

export const GAP = 2;
const MARK = 2;
/** In this width the last hour has a character for two minutes. */
const HALF_HOUR = 49;
const LEAST_PHASES = 24;
const WIDEST_PHASES = 60;
const KEYS = "↑↓ choose  / filter  d drain  t terminate  p pause  r resume  D empty  q quit";

/** @param problem why the figures are old; null: they are not */
export function layOut(
  dashboard: Dashboard,
  state: ScreenState,
  { columns, rows }: Size,
  problem: string | null,
  style: Style,
): Layout {
  const left = Math.min(WIDEST_PHASES, Math.max(LEAST_PHASES, columns - GAP - HALF_HOUR));
  const head = headLines(dashboard, columns, style);
  const phases = phaseLines(dashboard, left, style);
  const title = (text: string) => style(["bold", "dim"], cut(plain(text), columns));
  // A full last line would scroll the screen, and the foot has one.
  const room = rows - head.length - phases.length - 2;
  const alertRoom = Math.max(2, Math.floor(room / 4));
  const decisionRoom = Math.max(2, Math.floor(room / 4));
  const { at, alerts: open, decisions: made } = dashboard;
  const alerts = open.slice(0, columns >= 120 ? Math.ceil((alertRoom - 1) / 2) : alertRoom - 1);
  const shownAlerts = [
    title(open.length === 0 ? "NO ALERT IS OPEN" : `ALERTS (${open.length})`),
    ...alerts.flatMap((alert) => [
      alertLine(alert, at, columns, style),
      ...(columns >= 120 ? [adviceLine(alert, columns)] : []),
    ]),
  ];
  const shownDecisions = [
    title(made.length === 0 ? "NO DECISION YET" : "LAST DECISIONS"),
    ...made.slice(0, decisionRoom - 1).map((decision) => decisionLine(decision, columns, style)),
  ];
  return {
    head,
    phases,
    hour: hourLines(dashboard, columns - GAP - left, style),
    alerts: shownAlerts,
    decisions: shownDecisions,
    fleet: fleetPart(dashboard, state, { columns, rows: room - shownAlerts.length - shownDecisions.length }, style),
    foot: foot(dashboard, state, columns, problem, style),
  };
}

/** The part of the fleet around the chosen worker. */
function fleetPart(dashboard: Dashboard, state: ScreenState, { columns, rows }: Size, style: Style): string[] {
  const { fleet, fleetCount } = dashboard;
  if (fleet.length === 0) {
    const none = state.filter === "" ? "no worker lives" : `no living worker has ${state.filter}; esc shows all`;
    return [style("dim", cut(plain(none), columns))];
  }
  const [tableHead = "", ...lines] = fleetLines(dashboard, columns - MARK, style);
  const more = leftOut(dashboard);
  const room = Math.max(1, rows - 1 - (more === null ? 0 : 1));
  const cursor = Math.min(state.cursor, fleet.length - 1);
  const first = Math.max(0, Math.min(cursor - Math.floor(room / 2), lines.length - room));
  const shown = lines
    .slice(first, first + room)
    .map((line, index) => (first + index === cursor ? `${style("cyan", "›")} ${line}` : `  ${line}`));
  const isLast = first + room >= fleet.length;
  const rest = more === null ? [] : [style("dim", cut(isLast ? more : `… of ${fleetCount}`, columns))];
  return [`  ${tableHead}`, ...shown, ...rest];
}

function foot(
  { pool }: Dashboard,
  { asked, typed, filter, said }: ScreenState,
  columns: number,
  problem: string | null,
  style: Style,
): string {
  const fit = (text: string) => cut(plain(text), columns);
  if (asked !== null) {
    return style("yellow", fit(`${questionOf(asked, pool)} y/n`));
  }
  if (typed !== null) {
    return style("yellow", fit(`filter: ${typed}▏  enter shows, esc leaves it`));
  }
  if (said !== "") {
    return style("yellow", fit(`${said}  (esc)`));
  }
  if (problem !== null) {
    return style("red", fit(problem));
  }
  return style("dim", fit(filter === "" ? KEYS : `filter: ${filter}  (esc)  ${KEYS}`));
}
