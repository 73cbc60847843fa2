import { randomUUID } from "node:crypto";
import { statfs } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import type { Logger } from "pino";
import { packageVersion } from "../config/version.ts";
import type { ProcessIdentity, ProcessStore } from "../supabase/processes/process-store.ts";

const BEAT_MS = 5_000;
/** The database lets another process lead after 30 s. Less here, because two clocks never run alike. */
const LEADS_FOR_MS = 25_000;
const END_WITHIN_MS = 5_000;

/** The answers to the signs of life of this process. */
export interface ProcessBeat {
  /** The name of this process in the database. */
  readonly id: string;
  /** Whether this process leads now. At most one process of a deployment does. */
  leader(): boolean;
  /** When the database last answered a sign of life: the time of its sending, in ms since epoch by this process's clock. */
  lastSeen(): number | null;
  /** Ends the signs of life and removes this process from the database, within about five seconds. It never throws. */
  stop(): Promise<void>;
}

export interface ProcessBeatOptions {
  readonly processes: Pick<ProcessStore, "beat" | "end">;
  readonly taskQueue: string;
  /** Runs one cycle of the pool. If it throws, the pool is asked for again after 15 s. */
  readonly wake: (pool: string) => Promise<void>;
  readonly logger: Logger;
  readonly beatMs?: number;
}

/**
 * Gives the database a sign of life every five seconds, and obeys what the answer asks for. While the database does not
 * answer, the process goes on, and does not lead.
 */
export function startProcessBeat(options: ProcessBeatOptions): ProcessBeat {
  const { processes, taskQueue, logger, beatMs = BEAT_MS } = options;
  const identity = identityOf(taskQueue);
  const beats = beatsOf(options, identity);
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;

  async function beatAgain(): Promise<void> {
    const nextMs = Date.now() + beatMs;
    await beats.send();
    if (!isStopped) {
      timer = setTimeout(() => void (beating = beatAgain()), Math.max(0, nextMs - Date.now())).unref();
    }
  }

  let beating = beatAgain();
  return {
    id: identity.id,
    leader: () => !isStopped && beats.leads(),
    lastSeen: beats.lastSeen,
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      // The last sign of life must not come after the end, because it would make the row anew.
      const ended = beating.then(async () => await processes.end(identity.id));
      await within(END_WITHIN_MS, ended).catch((error: unknown) =>
        logger.warn({ err: error }, "the row of this process could not be removed"),
      );
    },
  };
}

interface Beats {
  /** One sign of life. Never rejects. */
  send(): Promise<void>;
  leads(): boolean;
  lastSeen(): number | null;
}

function beatsOf({ processes, wake, logger }: ProcessBeatOptions, identity: ProcessIdentity): Beats {
  const woken = new Set<string>();
  let seenMs: number | null = null;
  let isLeader = false;
  let isSilent = false;
  let diskFree: number | null = null;

  // Signs of life do not wait for it: without Temporal it takes long.
  async function obey(pool: string): Promise<void> {
    try {
      await wake(pool);
      woken.add(pool);
    } catch (error) {
      logger.warn({ pool, err: error }, "the pool was not woken; it is tried again");
    }
  }

  return {
    leads: () => isLeader && seenMs !== null && Date.now() - seenMs < LEADS_FOR_MS,
    lastSeen: () => seenMs,
    async send() {
      const sentMs = Date.now();
      const told = [...woken];
      try {
        // Not waited for: a disk that hangs must not silence this process.
        void freePartOfDisks().then((part) => (diskFree = part));
        const answer = await processes.beat(identity, told, diskFree);
        told.forEach((pool) => woken.delete(pool));
        isLeader = answer.leader;
        seenMs = sentMs;
        if (isSilent) {
          isSilent = false;
          logger.info("the database takes signs of life again");
        }
        answer.wake.forEach((pool) => void obey(pool));
      } catch (error) {
        if (!isSilent) {
          isSilent = true;
          logger.warn({ err: error }, "the database takes no sign of life of this process; it goes on");
        }
      }
    },
  };
}

/** The least free part of the disks that this process may write to, from 0 to 1; null: no disk answers. */
async function freePartOfDisks(): Promise<number | null> {
  const answers = await Promise.allSettled([process.cwd(), tmpdir()].map(async (path) => await statfs(path)));
  const parts = answers.flatMap((answer) =>
    answer.status === "fulfilled" && answer.value.blocks > 0 ? [answer.value.bavail / answer.value.blocks] : [],
  );
  return parts.length === 0 ? null : Math.min(...parts);
}

function identityOf(taskQueue: string): ProcessIdentity {
  return { id: randomUUID(), host: hostname(), pid: process.pid, version: packageVersion(), taskQueue };
}

async function within(limitMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the database did not answer within ${limitMs} ms`)), limitMs);
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
}
