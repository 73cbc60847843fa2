import type { Config } from "../config/config.ts";
import type { JanitorActivities } from "../contract/upkeep.ts";
import type { JanitorStore, RetainedTable } from "../supabase/janitor-store.ts";
import type { LogStore } from "../supabase/log-store.ts";
import type { OutboxStore } from "../supabase/outbox-store.ts";
import { beating } from "./beating.ts";

/** One round deletes at most about this long of each kind; the next round goes on. */
const ROUND_MS = 10_000;
/** Worker processes that were killed. One that stops removes its row itself. */
const PROCESSES_DAYS = 1;
/** A row a minute and pool: 20 MB of each pool. */
const MINUTES_DAYS = 90;

export interface RetentionDeps {
  readonly config: Pick<Config, "retention" | "supabase">;
  readonly logs: Pick<LogStore, "cleanUp">;
  readonly outbox: Pick<OutboxStore, "clean">;
  readonly janitor: Pick<JanitorStore, "cleanUp" | "orphanFiles" | "removeFiles">;
}

type Retention = Pick<JanitorActivities, "cleanUpLogs" | "cleanUpOutbox" | "cleanUpTables" | "cleanUpFiles">;

/** Deletes what is older than its setting says; 0 keeps it for ever. */
export function createRetentionActivities({ config, logs, outbox, janitor }: RetentionDeps): Retention {
  const { retention, supabase } = config;
  // Attempts before workers: a worker's row goes only when no attempt names it.
  const tables: readonly (readonly [RetainedTable, number])[] = [
    ["pool_events", retention.journalDays],
    ["worker_diagnostics", retention.diagnosticsDays],
    ["alerts", retention.alertsDays],
    ["pool_minutes", MINUTES_DAYS],
    ["worker_processes", PROCESSES_DAYS],
    ["task_attempts", retention.attemptsDays],
    ["service_requests", retention.attemptsDays],
    ["workers", retention.workersDays],
  ];
  return {
    cleanUpLogs: () => beating(async () => ({ deleted: await inParts(retention.logsHours, logs.cleanUp) })),
    cleanUpOutbox: () => beating(async () => ({ deleted: await inParts(retention.notificationsHours, outbox.clean) })),
    cleanUpTables: () =>
      beating(async () => {
        const deleted: Record<string, number> = {};
        const problems: unknown[] = [];
        for (const [table, age] of tables) {
          try {
            deleted[table] = await inParts(age, (days) => janitor.cleanUp(table, days));
          } catch (error) {
            problems.push(error);
          }
        }
        // Only now, so that one table keeps no other one from being cleaned.
        if (problems.length > 0) {
          throw problems[0];
        }
        return deleted;
      }),
    cleanUpFiles: () =>
      beating(async () => {
        const days = retention.filesDays;
        return { deleted: days === 0 ? 0 : await removeOrphanFiles(janitor, supabase.videoBucket, days) };
      }),
  };
}

/** Deletes in several calls, because each database call must end within the statement timeout. @param age 0: nothing */
async function inParts(
  age: number,
  removePart: (age: number) => Promise<{ deleted: number; more: boolean }>,
): Promise<number> {
  let deleted = 0;
  const endAtMs = Date.now() + ROUND_MS;
  while (age > 0) {
    const part = await removePart(age);
    deleted += part.deleted;
    if (!part.more || Date.now() > endAtMs) {
      break;
    }
  }
  return deleted;
}

/** Begins at a random name, so that in the course of rounds every part of a large bucket is looked at. */
async function removeOrphanFiles(janitor: RetentionDeps["janitor"], bucket: string, days: number): Promise<number> {
  const begin = Math.floor(Math.random() * 256)
    .toString(16)
    .padStart(2, "0");
  const endAtMs = Date.now() + ROUND_MS;
  let deleted = 0;
  let after = begin;
  let hasWrapped = false;
  while (Date.now() < endAtMs) {
    const { names, last } = await janitor.orphanFiles(bucket, days, after);
    if (names.length > 0) {
      await janitor.removeFiles(bucket, names);
      deleted += names.length;
    }
    if (last !== null && !(hasWrapped && last >= begin)) {
      after = last;
    } else if (hasWrapped) {
      break;
    } else {
      hasWrapped = true;
      after = "";
    }
  }
  return deleted;
}
