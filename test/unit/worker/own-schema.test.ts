import { pino } from "pino";
import { expect, it } from "vitest";
import { migrationNames } from "../../../src/supabase/migration-files.ts";
import type { Database } from "../../../src/supabase/client.ts";
import { awaitMigrations } from "../../../src/worker/own-schema.ts";

/** A database whose answers are these, one after the other; the last one is repeated. */
function answering(...answers: readonly (readonly string[])[]): { database: Database; asked: () => number } {
  let asked = 0;
  const call = async () => answers[Math.min(asked++, answers.length - 1)];
  return { database: { call } as unknown as Database, asked: () => asked };
}

function logging(): { lines: string[]; logger: pino.Logger } {
  const lines: string[] = [];
  return { lines, logger: pino({ level: "info" }, { write: (line: string) => void lines.push(line) }) };
}

const going = new AbortController().signal;

it("a process waits for a migration that its database lacks, and names it", async () => {
  const known = await migrationNames();
  const { database, asked } = answering(known.slice(0, -1), known);
  const { lines, logger } = logging();
  await awaitMigrations(database, logger, going);
  expect(asked()).toBe(2);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain(known.at(-1));
  expect(lines[0]).toContain("gpu-pool db migrate");
});

it("a process serves on a database that a newer version has migrated, and says so", async () => {
  const { database, asked } = answering([...(await migrationNames()), "20990101000000_of_tomorrow"]);
  const { lines, logger } = logging();
  await awaitMigrations(database, logger, going);
  expect(asked()).toBe(1);
  expect(lines.join("")).toContain("20990101000000_of_tomorrow");
});

it("a process that waits for migrations ends when it is told to stop", async () => {
  const { database } = answering([]);
  const stopping = new AbortController();
  const waiting = awaitMigrations(database, logging().logger, stopping.signal);
  stopping.abort();
  await expect(waiting).rejects.toThrow(/abort/i);
});
