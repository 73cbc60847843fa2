import type { Alert } from "../../contract/alerts.ts";
import { formatDuration } from "./durations.ts";
import { plain, type Style } from "./output.ts";
import type { Column } from "./table.ts";

type Shown = Pick<Alert, "kind" | "subject" | "message" | "openedAt" | "closedAt" | "whatToDo">;

/** For a table; `gpu-pool alerts` shows the messages too. */
export function alertColumns(nowMs: number): Column<Shown>[] {
  return [
    { title: "ALERT", value: ({ kind }) => kind, paint: (_alert, text, style) => style("red", text) },
    { title: "SUBJECT", value: ({ subject }) => plain(subject) },
    { title: "SINCE", value: ({ openedAt }) => formatDuration(nowMs - Date.parse(openedAt)), align: "right" },
    { title: "WHAT TO DO", value: ({ whatToDo }) => plain(whatToDo) },
  ];
}

/** An alert in three lines, whole. */
export function describeAlert(alert: Shown, nowMs: number, style: Style): string[] {
  const { kind, subject, message, openedAt, closedAt, whatToDo } = alert;
  const head = `${style(closedAt === null ? "red" : "dim", kind)} ${plain(subject)}`;
  const age =
    closedAt === null ? `for ${formatDuration(nowMs - Date.parse(openedAt))}` : `until ${closedAt.slice(0, 19)}`;
  return [`${head}, since ${openedAt.slice(0, 19)} UTC, ${age}`, `  ${plain(message)}`, `  → ${plain(whatToDo)}`];
}
