import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { LocalDatabaseError, type LocalDatabase } from "./local-database.ts";

/** A worker whose last heartbeat is older has lost its tasks. */
const SILENT_MS = 90_000;

/** The row of a worker that was killed is kept for a day. */
const FORGOTTEN_MS = 86_400_000;

/** In MiB; null: not known. */
interface GpuMemory {
  readonly totalMb: number | null;
  readonly usedMb: number | null;
}

interface WorkerRow {
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly started: string | null;
  readonly heartbeat_at_ms: number;
}

/** Processes see each other's ids only within one machine and one container. */
function ownHost(): string {
  try {
    return `${hostname()} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return hostname();
  }
}

/** When a process began, as Linux counts it; null where that is not known. A process id alone may be another's by now. */
function startOf(pid: number): string | null {
  try {
    return (
      readFileSync(`/proc/${pid}/stat`, "utf8")
        .replace(/^.*\) /s, "")
        .split(" ")[19] ?? null
    );
  } catch {
    return null;
  }
}

/** Books the id for this process. @throws LocalDatabaseError when a living process has it */
export function registerWorker(database: LocalDatabase, id: string, nowMs: number): void {
  database.write(() => {
    const row = findWorker(database, id);
    const isOther = row !== undefined && (row.pid !== process.pid || row.host !== ownHost());
    if (row !== undefined && isOther && isAlive(row, nowMs)) {
      const detail = `worker ${id} runs already as process ${row.pid}; end it, or give this one another id`;
      throw new LocalDatabaseError(database.file, detail, false);
    }
    database.run(
      `delete from workers where heartbeat_at_ms < ?
         and id not in (select worker_id from tasks where status = 'In Progress' and worker_id is not null)`,
      nowMs - FORGOTTEN_MS,
    );
    database.run(
      "insert or replace into workers (id, host, pid, started, started_at_ms, heartbeat_at_ms) values (?, ?, ?, ?, ?, ?)",
      id,
      ownHost(),
      process.pid,
      startOf(process.pid),
      nowMs,
      nowMs,
    );
  });
}

/** @returns whether the worker is registered */
export function beat(database: LocalDatabase, id: string, { totalMb, usedMb }: GpuMemory, nowMs: number): boolean {
  const changed = database.run(
    `update workers set heartbeat_at_ms = ?, vram_total_mb = coalesce(?, vram_total_mb),
       vram_used_mb = coalesce(?, vram_used_mb) where id = ?`,
    nowMs,
    totalMb,
    usedMb,
    id,
  );
  return changed > 0;
}

export function removeWorker(database: LocalDatabase, id: string): void {
  database.run("delete from workers where id = ?", id);
}

export function isRegistered(database: LocalDatabase, id: string): boolean {
  return findWorker(database, id) !== undefined;
}

/** Why a worker that holds a task is taken for dead; null: it lives. */
export function deathOf(database: LocalDatabase, id: string, nowMs: number): string | null {
  const row = findWorker(database, id);
  if (row === undefined) {
    return `worker ${id} has ended`;
  }
  if (!processLives(row)) {
    return `worker ${id} died: its process ${row.pid} is no longer there`;
  }
  const silentSec = Math.round((nowMs - row.heartbeat_at_ms) / 1_000);
  return isAlive(row, nowMs) ? null : `worker ${id} has sent no heartbeat for ${silentSec} s`;
}

/** The ids of workers whose processes live. */
export function livingWorkers(database: LocalDatabase, nowMs: number): string[] {
  const rows = database.all<WorkerRow>("select id, host, pid, started, heartbeat_at_ms from workers");
  return rows.filter((row) => isAlive(row, nowMs)).map(({ id }) => id);
}

function findWorker(database: LocalDatabase, id: string): WorkerRow | undefined {
  return database.get<WorkerRow>("select id, host, pid, started, heartbeat_at_ms from workers where id = ?", id);
}

function isAlive(row: WorkerRow, nowMs: number): boolean {
  return nowMs - row.heartbeat_at_ms < SILENT_MS && processLives(row);
}

/** True where it cannot be known. */
function processLives({ host, pid, started }: WorkerRow): boolean {
  if (host !== ownHost()) {
    return true;
  }
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
  return started === null || (startOf(pid) ?? started) === started;
}
