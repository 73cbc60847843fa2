import type { Parameter } from "../../task-types/parameters.ts";
import type { Doer, TaskType } from "../../task-types/task-type.ts";
import type { Style } from "./output.ts";
import { renderTable } from "./table.ts";

/** In 120 columns the table has all but its last column. */
const DOERS: Readonly<Record<Doer, string>> = {
  "gpu-worker": "ours",
  "headless-wan2gp": "Wan2GP",
  "headless-wan2gp-2025-08": "old Wan2GP",
};

export function renderTaskTypes(types: readonly TaskType[], width: number, style: Style): string[] {
  return renderTable(
    [
      { title: "TYPE", value: ({ name, aliases }) => [name, ...aliases.map((alias) => `(${alias})`)].join(" ") },
      { title: "KIND", value: ({ kind }) => kind },
      { title: "MODEL", value: ({ model }) => model ?? "-", dropOrder: 2 },
      { title: "NEEDS", value: ({ needs }) => needs.join(" ") || "-", dropOrder: 1 },
      { title: "DONE BY", value: doneBy },
      { title: "MAKES", value: ({ meaning }) => meaning, dropOrder: 3 },
    ],
    types,
    width,
    style,
  );
}

export function renderTaskType(type: TaskType, width: number, style: Style): string[] {
  const { name, aliases, kind, meaning, model, needs, stuckTimeoutSec, expectedSec, oneOf } = type;
  const also = aliases.length > 0 ? `, also ${aliases.join(", ")}` : "";
  const facts = [
    `${style("bold", name)}${also}: ${kind}, ${meaning}`,
    `model ${model ?? "-"}; needs ${needs.join(", ") || "nothing"}; done by ${doneBy(type)}`,
    ...(stuckTimeoutSec === null ? [] : [`stuck after ${stuckTimeoutSec} s without progress`]),
    ...(expectedSec === null ? [] : [`expected to take ${expectedSec} s until some were measured`]),
    ...oneOf.map((names) => `at least one of ${names.join(", ")}`),
  ];
  const table = renderTable(
    [
      { title: "PARAMETER", value: (each) => each.name },
      { title: "ALLOWED", value: ({ kind: { allowed } }) => allowed },
      { title: "DEFAULT", value: defaultOf },
      { title: "ALSO", value: (each) => each.aliases.join(", "), dropOrder: 1 },
      { title: "MEANS", value: (each) => each.meaning, dropOrder: 2 },
    ],
    type.parameters,
    width,
    style,
  );
  return [...facts, "", ...table];
}

function doneBy({ doers }: TaskType): string {
  // The older version is worth a word only where the newest one cannot.
  const shown = doers.filter((doer) => doer !== "headless-wan2gp-2025-08" || !doers.includes("headless-wan2gp"));
  return shown.map((doer) => DOERS[doer]).join(", ") || "nothing yet";
}

function defaultOf({ isRequired, fixed, fallback }: Parameter): string {
  if (fixed !== undefined) {
    return `always ${JSON.stringify(fixed)}`;
  }
  return isRequired ? "required" : (JSON.stringify(fallback) ?? "-");
}
