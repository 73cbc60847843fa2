import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));

it("every kind of alert has a paragraph in docs/alerts.md that says what to do, and no paragraph is of another kind", () => {
  const sql = readFileSync(join(root, "sql/20261122000168_alerts.sql"), "utf8");
  const list = /insert into alert_kinds .*?on conflict/s.exec(sql)?.[0] ?? "";
  const kinds = [...list.matchAll(/^ {2}\('(\w+)', '/gm)].map(([, kind = ""]) => kind);
  const page = readFileSync(join(root, "docs/alerts.md"), "utf8");
  const paragraphs = [...page.matchAll(/^### (\w+)\n\n(?=\S[^\n]{60,}\n)/gm)].map(([, kind = ""]) => kind);
  expect(paragraphs.toSorted()).toEqual(kinds.toSorted());
  expect(kinds.length).toBeGreaterThan(10);
});
