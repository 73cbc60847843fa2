import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { createDatabaseLogs } from "../../../src/worker/database-logs.ts";
import { createLogSender } from "../../../src/gpu-worker/log-sender.ts";
import { createLogger } from "../../../src/logger.ts";
import { DatabaseError } from "../../../src/supabase/database-error.ts";
import type { LogLine } from "../../../src/supabase/log-store.ts";

const AN_HOUR_MS = 3_600_000;

/** A database whose answers the test sets, and the log of a process that writes to it. */
function stage(options: { batchSize?: number; capacity?: number; flushMs?: number } = {}) {
  const batches: LogLine[][] = [];
  const said: string[] = [];
  let status: number | null = null;
  const logs = createDatabaseLogs({
    sourceId: "host:1",
    batchSize: 3,
    flushMs: AN_HOUR_MS,
    ...options,
    logger: pino({}, { write: (text) => said.push((JSON.parse(text) as { msg: string }).msg) }),
    store: {
      async insert(lines) {
        if (status !== null) {
          throw new DatabaseError("func_insert_logs_batch", status, "", "set to fail", null);
        }
        batches.push([...lines]);
        return 0;
      },
    },
  });
  const logger = createLogger({ level: "trace", name: "gpu-pool", destination: logs.stream });
  const messages = () => batches.flat().map(({ message }) => message);
  return { logs, logger, batches, messages, said, answer: (next: number | null) => (status = next) };
}

describe("the database as a destination of the log", () => {
  it("sends a full batch at once, and the rest at the end", async () => {
    const { logs, logger, batches, messages } = stage();
    for (const n of [1, 2, 3, 4]) {
      logger.info(`line ${n}`);
    }
    await expect.poll(() => batches.length).toBeGreaterThan(0);
    await logs.close();
    expect(messages()).toEqual(["line 1", "line 2", "line 3", "line 4"]);
  });

  it("sends an incomplete batch after the flush interval", async () => {
    const { logger, messages } = stage({ flushMs: 20 });
    logger.info("alone");
    await expect.poll(messages).toEqual(["alone"]);
  });

  it("writes severity, worker, task and the other fields, with secrets redacted", async () => {
    const { logs, logger, batches } = stage();
    logger.warn({ worker: "w-1", taskId: "t-1", pool: "main", token: "hidden" }, "look");
    await logs.close();
    expect(batches[0]?.[0]).toMatchObject({
      level: "WARNING",
      message: "look",
      source_type: "orchestrator_gpu",
      source_id: "host:1",
      worker_id: "w-1",
      task_id: "t-1",
      metadata: { pool: "main", token: "[redacted]" },
    });
    expect(JSON.stringify(batches)).not.toContain("hidden");
  });

  it("keeps lines in order through an outage, which it logs once", async () => {
    const { logs, logger, messages, said, answer } = stage({ batchSize: 2, flushMs: 10 });
    answer(503);
    for (const n of [1, 2, 3, 4, 5]) {
      logger.info(`line ${n}`);
    }
    await expect.poll(() => said).toEqual(["log lines cannot be sent to the database; they wait"]);
    answer(null);
    await expect.poll(messages).toEqual(["line 1", "line 2", "line 3", "line 4", "line 5"]);
    await expect.poll(() => said).toHaveLength(2);
    expect(said[1]).toBe("log lines reach the database again");
    await logs.close();
  });

  it("drops the oldest of the least severe lines beyond its capacity, and logs how many of each severity", async () => {
    const { logs, logger, batches, messages, answer } = stage({ batchSize: 100, capacity: 4 });
    answer(0);
    logger.error("error 1");
    for (const n of [1, 2, 3]) {
      logger.debug(`debug ${n}`);
    }
    for (const n of [1, 2, 3, 4]) {
      logger.info(`info ${n}`);
    }
    answer(null);
    await logs.close();
    expect(messages()).toEqual([
      "log lines were dropped while the database was away: 3 DEBUG, 1 INFO",
      "error 1",
      "info 2",
      "info 3",
      "info 4",
    ]);
    expect(batches[0]?.[0]).toMatchObject({ level: "WARNING", metadata: { dropped: { DEBUG: 3, INFO: 1 } } });
  });

  it("drops lines that the database refuses, so that they do not block later ones", async () => {
    const { logs, logger, messages, said, answer } = stage({ batchSize: 1 });
    answer(400);
    logger.info("poison");
    await expect.poll(() => said).toEqual(["log lines were refused by the database and are lost"]);
    answer(null);
    logger.info("fine");
    await logs.close();
    expect(messages()).toEqual(["fine"]);
    expect(said.at(-1)).toBe("log lines did not reach the database");
  });

  it("logs at the end how many lines were lost when no answer came", async () => {
    const { logs, logger, said, answer } = stage();
    answer(0);
    logger.info("never arrives");
    await logs.close();
    expect(said.at(-1)).toBe("log lines did not reach the database");
  });

  it("replaces characters that Postgres refuses, and cuts a line that is too long", async () => {
    const { logs, logger, batches } = stage();
    logger.error({ odd: "a\u0000b\ud800c" }, "nul \u0000");
    logger.error({ huge: "x".repeat(100_000) }, "long");
    await logs.close();
    const [odd, long] = batches.flat();
    expect(odd).toMatchObject({ message: "nul \ufffd", metadata: { odd: "a\ufffdb\ufffdc" } });
    expect(long?.level).toBe("ERROR");
    expect(long?.message.length).toBeLessThan(3_000);
  });
});

describe("the log of a GPU worker", () => {
  function pod(capacity?: number) {
    const batches: Record<string, unknown>[][] = [];
    const answers = { status: 200 };
    const client = {
      async rpc(name: string, args: { p_worker_id: string; p_logs: Record<string, unknown>[] }) {
        expect([name, args.p_worker_id]).toEqual(["worker_logs", "w-1"]);
        if (answers.status === 200) {
          batches.push(args.p_logs);
        }
        return { status: answers.status, error: answers.status === 200 ? null : { message: "set to fail" } };
      },
    };
    const sender = createLogSender(client as never, "w-1", capacity);
    const logger = pino({ level: "debug", base: { worker_id: "w-1" } }, sender.stream);
    return { sender, logger, batches, answers, messages: () => batches.flat().map(({ message }) => message) };
  }

  it("waits for the next heartbeat, and is sent with level, time and task", async () => {
    const { sender, logger, batches } = pod();
    logger.warn({ task_id: "t-1", attempt: 2 }, "task failed");
    expect(batches).toEqual([]);
    await sender.send();
    expect(batches).toMatchObject([
      [{ level: "WARNING", message: "task failed", task_id: "t-1", metadata: { attempt: 2 } }],
    ]);
    expect(Date.parse(String(batches[0]?.[0]?.["timestamp"]))).toBeGreaterThan(Date.now() - 60_000);
  });

  it("is kept through an outage up to its capacity, and says how many lines were dropped", async () => {
    const { sender, logger, answers, messages } = pod(3);
    answers.status = 503;
    logger.error("error");
    logger.debug("debug");
    for (const n of [1, 2, 3]) {
      logger.info(`info ${n}`);
    }
    await sender.send();
    answers.status = 200;
    await sender.close();
    expect(messages()).toEqual(["log lines were dropped while the database was away: 2", "error", "info 2", "info 3"]);
  });

  it("is no longer sent when the worker's credential is refused or the database has no function for logs", async () => {
    for (const status of [401, 404]) {
      const { sender, logger, answers, batches } = pod();
      answers.status = status;
      logger.info("first");
      await sender.send();
      answers.status = 200;
      logger.info("second");
      await sender.send();
      expect(batches).toEqual([]);
    }
  });
});
