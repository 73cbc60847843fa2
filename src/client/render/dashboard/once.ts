import type { Dashboard } from "../../../contract/dashboard.ts";
import type { Style } from "../output.ts";
import { headLines, hourLines, phaseLines } from "./figures.ts";
import { adviceLine, alertLine, decisionLine, fleetLines, leftOut } from "./lists.ts";

const SHOWN_DECISIONS = 10;
const unstyled: Style = (_, text) => text;

/** The dashboard as plain text in lines of at most `width` characters. */
export function renderOnce(dashboard: Dashboard, width: number): string[] {
  const { at, alerts, decisions, fleet } = dashboard;
  const more = leftOut(dashboard);
  return [
    ...headLines(dashboard, width, unstyled),
    "",
    "WORKERS BY PHASE",
    ...phaseLines(dashboard, Math.min(width, 60), unstyled),
    "",
    "LAST HOUR",
    ...hourLines(dashboard, width, unstyled),
    "",
    alerts.length === 0 ? "NO ALERT IS OPEN" : "ALERTS",
    ...alerts.flatMap((alert) => [alertLine(alert, at, width, unstyled), adviceLine(alert, width)]),
    "",
    decisions.length === 0 ? "NO DECISION YET" : "LAST DECISIONS",
    ...decisions.slice(0, SHOWN_DECISIONS).map((decision) => decisionLine(decision, width, unstyled)),
    ...(fleet.length === 0 ? [] : ["", ...fleetLines(dashboard, width, unstyled)]),
    ...(more === null ? [] : [more]),
  ];
}
