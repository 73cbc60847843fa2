import { randomUUID } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { pino } from "pino";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { FUNCTIONS } from "../../supabase/functions/_shared/functions.ts";
import { freePort } from "../../src/dev/servers/free-port.ts";
import { type Guardian, type ManagedProcess, startGuardian } from "../../src/process/guardian.ts";
import { openPeopleApi, type PeopleApi } from "../kit/api.ts";
import { findDeno } from "../kit/hosted/deno.ts";

const deno = await findDeno();
const WAKE_SECRET = "w".repeat(32);

/** The rows that one request finds in the database. Each request that changes something has one of its own. */
interface World {
  readonly project: string;
  readonly jwt: string;
  readonly token: string;
  readonly workerToken: string;
  readonly worker: string;
  readonly pool: string;
  readonly task: string;
  readonly lease: string;
}

interface Call {
  readonly method?: string;
  readonly path?: (world: World) => string;
  readonly body?: (world: World) => unknown;
}

/** One call of each function that a caller with enough rights succeeds with. */
const CALLS: Readonly<Record<string, readonly Call[]>> = {
  "claim-next-task": [{ body: ({ worker }) => ({ worker_id: worker }) }, { body: () => ({}) }],
  "complete-task": [
    { body: ({ task, lease }) => ({ task_id: task, lease_token: lease, file_data: "AAAA", filename: "x y.mp4" }) },
    { body: ({ task }) => ({ task_id: task, storage_path: `${task}/none.mp4` }) },
  ],
  "create-task": [{ body: ({ project }) => ({ task_type: "t2v", project_id: project, params: { a: "ä\u0000" } }) }],
  "generate-upload-url": [
    {
      body: ({ task, lease }) => ({ task_id: task, lease_token: lease, filename: "x.mp4", content_type: "video/mp4" }),
    },
  ],
  "delegate-task": [{ body: ({ task }) => ({ task_id: task, sub_tasks: [] }) }],
  "get-completed-segments": [{ body: ({ project }) => ({ run_id: "r", project_id: project }) }],
  "get-predecessor-output": [{ body: ({ task }) => ({ task_id: task }) }],
  "mark-task-failed": [{ body: ({ task }) => ({ task_id: task, error_message: "e" }) }],
  "old-worker": [
    { path: () => "/functions/v1/task-counts", body: () => ({}) },
    { method: "GET", path: ({ task }) => `/rest/v1/tasks?id=eq.${task}&select=id,status` },
    {
      path: () => "/secret/rest/v1/rpc/func_worker_heartbeat_with_logs",
      body: ({ worker }) => ({ worker_id: worker }),
    },
    { path: () => "/nowhere", body: () => ({}) },
  ],
  "orchestrator-wake": [{ body: ({ pool }) => ({ pool }) }, { body: () => ({ pool: "nowhere" }) }],
  "service-request": [
    { body: ({ task, lease }) => ({ task_id: task, lease_token: lease, service: "s", request: { mark: "m" } }) },
  ],
  "task-counts": [{ body: () => ({}) }, { body: () => ({ run_type: "tpu" }) }],
  tasks: [
    { body: ({ project }) => ({ task_type: "t2v", project_id: project }) },
    { method: "GET", path: ({ project }) => `?project_id=${project}` },
    { method: "GET", path: ({ task }) => `/${task}` },
    { method: "GET", path: () => "/x" },
    { method: "POST", path: ({ task }) => `/${task}/cancel` },
    { method: "PUT" },
  ],
  "update-task-status": [{ body: ({ task }) => ({ task_id: task, status: "Failed", output_location: "why" }) }],
};
/** These change nothing, and no function accepts them. */
const WRONG: readonly Call[] = [{ method: "GET" }, { body: () => "not json" }, { body: () => ({ task_id: 7 }) }];

describe.skipIf("missing" in deno)(
  `the edge functions under Deno${"missing" in deno ? ` (skipped, there is none: ${deno.missing})` : ""}`,
  () => {
    const program = "path" in deno ? deno.path : "";
    let api: PeopleApi;
    let guardian: Guardian;
    let cache: string;
    beforeAll(async () => {
      api = await openPeopleApi();
      guardian = await startGuardian({ logger: pino({ level: "fatal" }) });
      cache = await mkdtemp(join(tmpdir(), "gpu-pool-deno-"));
      await api.queue.call("set_wake_secret", { p_secret: WAKE_SECRET });
    });
    beforeEach(async () => {
      const living = { p_process: randomUUID(), p_host: "h", p_pid: 1, p_version: "1", p_task_queue: "q" };
      await api.queue.call("process_beat", living);
    });
    afterAll(async () => {
      await guardian?.close();
      await api?.close();
      await rm(cache, { recursive: true, force: true });
    });

    const environment = (port: number) => ({
      PATH: process.env["PATH"],
      DENO_DIR: cache,
      DENO_NO_UPDATE_CHECK: "1",
      DENO_SERVE_ADDRESS: `tcp:127.0.0.1:${port}`,
      SUPABASE_URL: api.url,
      SUPABASE_PUBLISHABLE_KEYS: JSON.stringify({ default: api.keys.publishableKey }),
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: api.keys.secretKey }),
      SUPABASE_ANON_KEY: api.keys.anonKey,
      SUPABASE_SERVICE_ROLE_KEY: api.keys.serviceRoleKey,
    });

    /** Serves one function as a hosted project does: offline here, and with no rights but those that it needs. */
    async function serve(name: string): Promise<{ readonly url: string; readonly served: ManagedProcess }> {
      const port = await freePort();
      const rights = ["--allow-net=127.0.0.1", "--allow-env"];
      const offline = ["--node-modules-dir=manual", "--no-remote", "--cached-only"];
      const args = ["run", ...offline, ...rights, `supabase/functions/${name}/index.ts`];
      const served = guardian.spawn(program, args, { name: `deno ${name}`, env: environment(port) });
      const url = `http://127.0.0.1:${port}/${name}`;
      const answers = async () =>
        await fetch(url, { method: "OPTIONS" }).then(
          ({ status }) => status,
          () => served.outputTail(),
        );
      await expect.poll(answers).toBe(204);
      return { url, served };
    }

    async function newWorld(): Promise<World> {
      const { project, jwt, token } = await api.newPerson();
      const pool = await api.queue.newPool();
      const worker = await api.queue.newWorker(pool);
      const workerToken = `gpw_${randomUUID()}`;
      await api.giveToken(worker, workerToken);
      await api.queue.addTask(pool, { project_id: project });
      const { task_id: task, lease_token: lease } = await api.queue.lease(worker);
      return { project, jwt, token, workerToken, worker, pool, task, lease };
    }

    const bearers: Readonly<Record<string, (world: World) => Record<string, string>>> = {
      nobody: () => ({}),
      "an empty bearer": () => ({ authorization: "Bearer " }),
      "the service key": () => ({ authorization: `Bearer ${api.keys.serviceRoleKey}` }),
      "the opaque service key": () => ({ apikey: api.keys.secretKey }),
      "the public key": () => ({ authorization: `Bearer ${api.keys.anonKey}` }),
      "the opaque public key": () => ({ authorization: `Bearer ${api.keys.publishableKey}` }),
      "a user": ({ jwt }) => ({ authorization: `Bearer ${jwt}` }),
      "a broken JWT": ({ jwt }) => ({ authorization: `Bearer ${jwt}x` }),
      "a personal access token": ({ token }) => ({ authorization: `Bearer ${token}` }),
      "a worker": ({ workerToken }) => ({ authorization: `Bearer ${workerToken}` }),
      "a worker with the public key": ({ workerToken }) => ({
        apikey: api.keys.anonKey,
        "x-worker-token": workerToken,
      }),
      "an unknown token": () => ({ authorization: "Bearer gpp_nobody" }),
      "the timer": () => ({ authorization: `Bearer ${WAKE_SECRET}` }),
    };

    async function ask(
      url: string,
      { method = "POST", path, body }: Call,
      world: World,
      headers: Record<string, string>,
    ) {
      const content = body?.(world);
      const response = await fetch(`${url}${path?.(world) ?? ""}`, {
        method,
        headers: { ...headers, ...(content !== undefined && { "content-type": "application/json" }) },
        ...(content !== undefined && { body: typeof content === "string" ? content : JSON.stringify(content) }),
      });
      const text = await response.text();
      return {
        status: response.status,
        type: response.headers.get("content-type"),
        text: withoutIds(text, world),
      };
    }

    it("are accepted by Deno's compiler, offline, under both spellings", async () => {
      const names = (await readdir("supabase/functions")).filter((name) => !name.startsWith("_"));
      expect(Object.keys(CALLS).toSorted()).toEqual(Object.keys(FUNCTIONS).toSorted());
      expect(names.length).toBeGreaterThan(Object.keys(CALLS).length);
      const files = names.map((name) => `supabase/functions/${name}/index.ts`);
      const { exitCode, stderr } = await execa(program, ["check", "--node-modules-dir=manual", ...files], {
        env: environment(0),
        extendEnv: false,
        reject: false,
      });
      expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
    });

    it.each(Object.entries(CALLS))("answer every caller as the gateway does: %s", async (name, calls) => {
      const { url, served } = await serve(name);
      const gateway = `${api.url}/functions/v1/${name}`;
      const differences: unknown[] = [];
      const statuses = new Set<number>();
      const shared = await newWorld();
      for (const [who, headersOf] of Object.entries(bearers)) {
        for (const call of [...calls, ...WRONG]) {
          const isWrong = WRONG.includes(call);
          const [here, there] = [isWrong ? shared : await newWorld(), isWrong ? shared : await newWorld()];
          const ours = await ask(gateway, call, here, headersOf(here));
          const denos = await ask(url, call, there, headersOf(there));
          statuses.add(ours.status);
          if (JSON.stringify(ours) !== JSON.stringify(denos)) {
            differences.push({
              who,
              call: `${call.method ?? "POST"} ${String(call.path)} ${String(call.body)}`,
              ours,
              denos,
            });
          }
        }
      }
      expect(differences).toEqual([]);
      // The table is of use only where somebody is let in and somebody is not.
      expect(statuses).toContain(401);
      expect([...statuses].some((status) => status < 300)).toBe(true);
      await served.stop();
    });

    it("allow the pages of any origin to call them, as the gateway does", async () => {
      const { url, served } = await serve("tasks");
      const headers = { "access-control-request-headers": "authorization", origin: "https://example.com" };
      for (const address of [url, `${api.url}/functions/v1/tasks`]) {
        const { status, headers: allowed } = await fetch(address, { method: "OPTIONS", headers });
        expect(status).toBe(204);
        expect(allowed.get("access-control-allow-origin")).toBe("*");
        expect(allowed.get("access-control-allow-headers")).toBe("authorization");
        expect(allowed.get("access-control-allow-methods")).toContain("DELETE");
      }
      await served.stop();
    });
  },
);

/** The text with names for what differs from world to world. */
function withoutIds(text: string, world: World): string {
  let plain = text;
  for (const [name, value] of Object.entries(world)) {
    plain = plain.replaceAll(value, `<${name}>`);
  }
  return plain
    .replaceAll(/\bp[0-9a-f]{8}\b/g, "<pool>")
    .replaceAll(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, "<jwt>")
    .replaceAll(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "<uuid>")
    .replaceAll(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d(?::?\d\d)?)/g, "<time>");
}
