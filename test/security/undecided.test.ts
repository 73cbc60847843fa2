import { asyncLocalStorage, type Context, type Info } from "@temporalio/activity";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { createWatchActivity } from "../../src/activities/watch.ts";
import { createStatusReader } from "../../src/client/commands/see/status-read.ts";
import { openConnections } from "../../src/client/connections.ts";
import { ClientError, EXIT } from "../../src/client/errors.ts";
import { renderStatus } from "../../src/client/render/status.ts";
import { loadConfig } from "../../src/config/config.ts";
import { alertStore } from "../../src/supabase/alert-store.ts";
import { connectDatabase } from "../../src/supabase/client.ts";
import { poolStore } from "../../src/supabase/pool-store.ts";
import { openQueueApi, type QueueApi } from "../kit/queue-api.ts";
import { noBootStages } from "../kit/reading.ts";

const POLL_SEC = 20;

describe("a pool that somebody's row keeps from being observed", () => {
  let api: QueueApi;
  let pool: string;
  let env: Record<string, string>;
  beforeAll(async () => {
    api = await openQueueApi();
    pool = await api.queue.newPool();
    const { anonKey, serviceRoleKey } = api.keys;
    env = {
      SUPABASE_URL: api.url,
      SUPABASE_ANON_KEY: anonKey,
      SUPABASE_SERVICE_ROLE_KEY: serviceRoleKey,
      GPU_POOL: pool,
      ORCHESTRATOR_POLL_SEC: String(POLL_SEC),
      RUNPOD_API_KEY: "key",
      MIN_ACTIVE_GPUS: "0",
    };
  });
  afterAll(() => api?.close());
  beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"] }));
  afterEach(() => void vi.useRealTimers());

  /** One watch, from now until `until` says that it is enough; between two looks the clock goes on by a second. */
  async function watch(until: (sec: number) => Promise<boolean>): Promise<void> {
    const database = connectDatabase({ url: api.url, serviceRoleKey: api.keys.serviceRoleKey });
    const stopping = new AbortController();
    let sec = 0;
    const context: Partial<Context> = {
      info: { workflowExecution: { workflowId: `gpu-pool/${pool}`, runId: "run-1" } } as Info,
      heartbeat: () => undefined,
      async sleep() {
        sec += 1;
        vi.setSystemTime(Date.now() + 1000);
        if (await until(sec)) {
          stopping.abort();
        }
      },
    };
    const { watchPool } = createWatchActivity({
      config: loadConfig(env),
      deployment: "ours",
      pools: poolStore(database),
      alerts: alertStore(database),
      listPods: async () => ({ kind: "unknown", detail: "not asked" }),
      market: { catalog: async () => null },
      workers: noBootStages,
      logger: pino({ level: "silent" }),
      stopping: stopping.signal,
    });
    const known = { shown: true, settings: null };
    await asyncLocalStorage.run(context as Context, async () => await watchPool(pool, known).catch(() => undefined));
  }
  const readStatus = async () => {
    const connections = {
      ...openConnections(env),
      temporal: async () => await Promise.reject(new ClientError(EXIT.unreachable, "no Temporal here")),
    };
    return renderStatus(await createStatusReader(connections, pool)(), 200, (_, text) => text).join("\n");
  };

  it("is named by status within ORCHESTRATOR_POLL_SEC, and no more once it can be observed", async () => {
    await api.queue.rows(`update pools set config = '{"maxActiveGpus": "lots"}' where name = $1`, [pool]);
    await watch(async (sec) => sec >= POLL_SEC);
    expect(await readStatus()).toContain("pool_undecided");
    await api.queue.rows("update pools set config = '{}' where name = $1", [pool]);
    await watch(async () => true);
    expect(await readStatus()).not.toContain("pool_undecided");
  });

  it("is named by status also where status cannot read the row either", async () => {
    await api.queue.rows(`create or replace function next_worker_types(p_pool text, p_profile text[]) returns text[]
      language plpgsql stable as $$ begin raise exception 'a row that nobody can read'; end $$`);
    await watch(async (sec) => sec >= POLL_SEC);
    await expect(readStatus()).rejects.toThrow(/nothing is decided, .*a row that nobody can read/);
  });
});
