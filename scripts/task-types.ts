import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Doer, TaskType } from "../src/task-types/task-type.ts";
import { TASK_TYPES } from "../src/task-types/task-types.ts";
import { markdownTable, withPart, writeOrCheck } from "./generated-pages.ts";

const page = new URL("../docs/task-types.md", import.meta.url);

const DOERS: readonly (readonly [Doer, string])[] = [
  ["gpu-worker", "ours"],
  ["headless-wan2gp", "newest"],
  ["headless-wan2gp-2025-08", "August 2025"],
];

/** The text of `docs/task-types.md`: its own words around the generated tables. */
export function taskTypesPage(): string {
  const text = readFileSync(page, "utf8");
  const withTypes = withPart(page, text, "src/task-types/task-types.ts", typesTable());
  return withPart(page, withTypes, "src/task-types/parameters.ts", aliasesTable());
}

function typesTable(): string {
  const head = ["Type", "Kind", "What it makes", "Default model", "Needs", "Stuck after", "Expected", "Done by"];
  return `${markdownTable([head, ...TASK_TYPES.map(row)])}\n`;
}

function row({ name, aliases, kind, meaning, model, needs, stuckTimeoutSec, expectedSec, doers }: TaskType): string[] {
  const names = [name, ...aliases].map((each) => `\`${each}\``).join(", also ");
  const by = DOERS.flatMap(([doer, title]) => (doers.includes(doer) ? [title] : []));
  const sec = (value: number | null) => (value === null ? "" : `${value} s`);
  const limits = [sec(stuckTimeoutSec), sec(expectedSec)];
  return [names, kind, meaning, model === null ? "" : `\`${model}\``, needs.join(", "), ...limits, by.join(", ")];
}

/** Each parameter that has other names, with those of all types. */
function aliasesTable(): string {
  const parameters = TASK_TYPES.flatMap((type) => type.parameters);
  const named = parameters.filter(({ aliases }) => aliases.length > 0).map(({ name }) => name);
  const rows = [...new Set(named)].toSorted().map((name) => {
    const aliases = parameters.flatMap((each) => (each.name === name ? each.aliases : []));
    return [`\`${name}\``, [...new Set(aliases)].map((alias) => `\`${alias}\``).join(", ")];
  });
  return `${markdownTable([["Parameter", "Also"], ...rows])}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeOrCheck(process.argv[2], [{ url: page, text: taskTypesPage() }], "src/task-types/; run: npm run task-types");
}
