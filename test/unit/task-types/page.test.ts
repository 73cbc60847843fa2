import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { taskTypesPage } from "../../../scripts/task-types.ts";

it("the tables of docs/task-types.md are those of the table of task types", () => {
  const page = readFileSync(new URL("../../../docs/task-types.md", import.meta.url), "utf8");
  // If not: npm run task-types
  expect(page === taskTypesPage()).toBe(true);
  expect(page).toContain("| `travel_orchestrator` ");
});
