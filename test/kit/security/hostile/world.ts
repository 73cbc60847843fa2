import { createHash, randomUUID } from "node:crypto";
import { SignJWT } from "jose";
import { sha256 } from "../../queue.ts";
import type { TestStack } from "../../stack.ts";
import { type Answer, send } from "../web-page.ts";
import type { Catalog, Prey } from "./prey.ts";

export interface Caller {
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
}

export interface World {
  readonly prey: Prey;
  readonly callers: readonly Caller[];
  readonly catalog: Catalog;
  /** One claim of the other tenant's worker, over HTTP. @returns how long it took, in ms */
  claim(): Promise<number>;
  /** The other tenant's files and ended tasks, as one text that any change changes. */
  possessions(): Promise<string>;
}

const CLAIMED_TASKS = 4_000;

/** Two tenants: one whose work must go on, and one who is hostile, with a credential of each kind. */
export async function makeWorld(stack: TestStack): Promise<World> {
  const [good, evil] = [await makeTenant(stack, "good"), await makeTenant(stack, "evil")];
  const file = `${good.done}/clip_a1.mp4`;
  const service = { apikey: stack.keys.serviceRoleKey, authorization: `Bearer ${stack.keys.serviceRoleKey}` };
  const stored = await send(`${stack.api}/storage/v1/object/videos/${file}`, {
    method: "POST",
    headers: { ...service, "content-type": "video/mp4" },
    body: "the film of another",
  });
  requireOk(stored, "the other tenant's file");
  const { anonKey, jwtSecret } = stack.keys;
  const jwt = await new SignJWT({ role: "authenticated", sub: evil.user, exp: Math.floor(Date.now() / 1000) + 36_000 })
    .setProtectedHeader({ alg: "HS256" })
    .sign(new TextEncoder().encode(jwtSecret));
  return {
    prey: {
      task: good.done,
      project: good.project,
      worker: good.worker,
      lease: randomUUID(),
      user: good.user,
      pool: good.pool,
      file,
      evil: {
        task_id: evil.done,
        worker_id: evil.worker,
        project_id: evil.project,
        task_type: "generate_video",
        pool: evil.pool,
      },
    },
    callers: [
      { name: "nobody, with the public key", headers: { apikey: anonKey } },
      { name: "a signed-in user", headers: { apikey: anonKey, authorization: `Bearer ${jwt}` } },
      { name: "a personal token", headers: { apikey: anonKey, authorization: `Bearer ${evil.token}` } },
      {
        name: "a worker",
        headers: { apikey: anonKey, "x-worker-token": evil.workerToken, "x-pool-token": evil.workerToken },
      },
    ],
    catalog: await readCatalog(stack),
    claim: () => claimOnce(stack, good),
    possessions: () => possessionsOf(stack, good, file),
  };
}

type Tenant = Awaited<ReturnType<typeof makeTenant>>;

async function makeTenant(stack: TestStack, name: string) {
  const [user, pool, workerToken] = [randomUUID(), `${stack.pool}-${name}`, `token-of-${name}-${randomUUID()}`];
  const [project] = await stack.rows<{ id: string }>(
    "insert into projects (name, user_id) values ($1, $2) returning id",
    [name, user],
  );
  await stack.rows("insert into pools (name) values ($1)", [pool]);
  const worker = `${pool}-00000001`;
  await stack.rows(
    `insert into workers (id, pool, status, token_hash, token_expires_at, last_heartbeat)
     values ($1, $2, 'active', $3, now() + interval '1 day', now())`,
    [worker, pool, sha256(workerToken)],
  );
  const [{ made }] = (await stack.rows("select api_create_token('hostile', $1) as made", [user])) as [
    { made: { token: string } },
  ];
  const [done] = await stack.rows<{ id: string }>(
    "insert into tasks (task_type, pool, project_id, params) values ('generate_video', $1, $2, '{}') returning id",
    [pool, project!.id],
  );
  return { user, pool, worker, workerToken, project: project!.id, token: made.token, done: done!.id };
}

async function readCatalog(stack: TestStack): Promise<Catalog> {
  const tables = await stack.rows<{ name: string; columns: string[] }>(
    `select c.relname as name, array_agg(a.attname::text) as columns from pg_class c
     join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v', 'p') group by 1`,
  );
  const functions = await stack.rows<{ name: string; parameters: string[] | null }>(
    `select proname as name, proargnames[1:pronargs] as parameters from pg_proc
     where pronamespace = 'public'::regnamespace and prorettype <> 'trigger'::regtype
       and (has_function_privilege('anon', oid, 'execute') or has_function_privilege('authenticated', oid, 'execute'))`,
  );
  return {
    tables: Object.fromEntries(tables.map(({ name, columns }) => [name, columns])),
    functions: Object.fromEntries(functions.map(({ name, parameters }) => [name, parameters ?? []])),
  };
}

async function claimOnce(stack: TestStack, { pool, project, worker, workerToken }: Tenant): Promise<number> {
  const [{ waiting }] = (await stack.rows(
    "select exists (select from tasks where pool = $1 and status = 'Queued') as waiting",
    [pool],
  )) as [{ waiting: boolean }];
  if (!waiting) {
    await stack.rows(
      "insert into tasks (task_type, pool, project_id, params) select 'generate_video', $1, $2, '{}' from generate_series(1, $3)",
      [pool, project, CLAIMED_TASKS],
    );
  }
  const began = performance.now();
  const answer = await send(`${stack.api}/rest/v1/rpc/claim_task`, {
    method: "POST",
    headers: { apikey: stack.keys.anonKey, "x-worker-token": workerToken, "content-type": "application/json" },
    body: JSON.stringify({ p_worker_id: worker }),
  });
  const tookMs = performance.now() - began;
  requireOk(answer, "a claim of the other tenant");
  const { task } = JSON.parse(answer.body) as { task: { task_id: string } | null };
  if (task === null) {
    throw new Error(`a claim of the other tenant found nothing: ${answer.body}`);
  }
  await stack.rows("delete from tasks where id = $1", [task.task_id]);
  return tookMs;
}

async function possessionsOf(stack: TestStack, { done, project }: Tenant, file: string): Promise<string> {
  const got = await send(`${stack.api}/storage/v1/object/public/videos/${file}`);
  const rows = await stack.rows(
    "select name, version, metadata, updated_at from storage.objects where name like $1 order by name",
    [`${done}/%`],
  );
  const task = await stack.rows("select * from tasks where id = $1", [done]);
  const owner = await stack.rows("select * from projects where id = $1", [project]);
  const bytes = createHash("sha256").update(got.body).digest("hex");
  return JSON.stringify({ status: got.status, bytes, rows, task, owner }, null, 1);
}

function requireOk({ status, body }: Answer, what: string): void {
  if (status !== 200) {
    throw new Error(`${what}: ${status} ${body.slice(0, 500)}`);
  }
}
