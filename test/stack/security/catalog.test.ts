import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openQueue, type Queue } from "../../kit/queue.ts";

/** What a pod calls with the public key; each of them checks the pod's own token. */
const WORKER_FUNCTIONS = [
  "authorize_upload",
  "claim_task",
  "delegate_task",
  "fail_task",
  "finish_and_claim",
  "finish_task",
  "func_claim_available_task",
  "func_claim_available_task",
  "func_mark_task_complete",
  "func_mark_task_failed",
  "func_update_worker_heartbeat",
  "func_worker_heartbeat_with_logs",
  "release_task",
  "report_progress",
  "worker_heartbeat",
  "worker_logs",
];

/** What people and old workers call with whatever they have; each of them judges its caller. */
const API_FUNCTIONS = [
  "api_authorize_upload",
  "api_caller",
  "api_cancel_task",
  "api_claim_task",
  "api_completed_segments",
  "api_create_task",
  "api_create_token",
  "api_finish_task",
  "api_get_task",
  "api_list_tasks",
  "api_predecessor_output",
  "api_revoke_token",
  "api_update_task",
  "task_counts",
];

const OUR_FUNCTIONS = `
  from pg_proc p
  where p.pronamespace = 'public'::regnamespace
    and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')`;
const OUR_RELATIONS = "from pg_class c where c.relnamespace = 'public'::regnamespace";

describe("the rights in the schema public", () => {
  let queue: Queue;
  beforeAll(async () => {
    queue = await openQueue();
  });
  afterAll(() => queue?.close());

  const names = async (statement: string) =>
    (await queue.rows<{ name: string }>(statement)).map(({ name }) => name).toSorted();

  it.each(["anon", "authenticated"])(
    "let %s execute the functions for workers and people, and no other",
    async (role) => {
      const allowed = await names(
        `select proname as name ${OUR_FUNCTIONS} and has_function_privilege('${role}', p.oid, 'execute')`,
      );
      expect(allowed).toEqual([...API_FUNCTIONS, ...WORKER_FUNCTIONS].toSorted());
    },
  );

  it("are decided for each function: nothing is left to the default, which is everybody", async () => {
    const undecided = await names(`select proname as name ${OUR_FUNCTIONS} and (p.proacl is null
      or exists (select from aclexplode(p.proacl) as acl where acl.grantee = 0))`);
    expect(undecided).toEqual([]);
    const all = await names(`select proname as name ${OUR_FUNCTIONS}`);
    expect(all).toEqual(expect.arrayContaining(WORKER_FUNCTIONS));
    expect(all.length).toBeGreaterThan(30);
  });

  it("let the service role execute every function", async () => {
    const refused = `select proname as name ${OUR_FUNCTIONS} and not has_function_privilege('service_role', p.oid, 'execute')`;
    expect(await names(refused)).toEqual([]);
  });

  it("pin the search path of every function, with the temporary schema last", async () => {
    const loose = await names(`select proname as name ${OUR_FUNCTIONS}
      and not coalesce('search_path=public, pg_temp' = any (p.proconfig), false)`);
    expect(loose).toEqual([]);
    const definers = await names(`select proname as name ${OUR_FUNCTIONS} and p.prosecdef`);
    expect(definers).toEqual(expect.arrayContaining(WORKER_FUNCTIONS));
  });

  it("put row-level security on every table, and have views look with the eyes of who asks", async () => {
    const open = await names(
      `select relname as name ${OUR_RELATIONS} and relkind in ('r', 'p') and not relrowsecurity`,
    );
    expect(open).toEqual([]);
    const views = await names(`select relname as name ${OUR_RELATIONS} and relkind in ('v', 'm')
      and not coalesce(c.reloptions && array['security_invoker=true', 'security_invoker=on'], false)`);
    expect(views).toEqual([]);
  });

  it.each([
    ["anon", []],
    ["authenticated", ["projects", "tasks", "user_api_tokens"]],
  ])("give %s nothing on any table, view or sequence but to read %j", async (role, readable) => {
    const relations = `select relname as name ${OUR_RELATIONS} and relkind in ('r', 'p', 'v', 'm')`;
    const written = await names(`${relations}
      and (has_table_privilege('${role}', c.oid, 'insert, update, delete, truncate, references, trigger')
        or has_any_column_privilege('${role}', c.oid, 'insert, update, references'))`);
    expect(written).toEqual([]);
    expect(await names(`${relations} and has_any_column_privilege('${role}', c.oid, 'select')`)).toEqual(readable);
    const sequences = await names(`select relname as name ${OUR_RELATIONS} and case when relkind = 'S'
      then has_sequence_privilege('${role}', c.oid, 'usage, select, update') else false end`);
    expect(sequences).toEqual([]);
  });

  it("let the service role read and write the tables of the main job", async () => {
    const refused =
      await names(`select relname as name ${OUR_RELATIONS} and relkind = 'r' and relname <> 'gpu_pool_migrations'
      and not (has_table_privilege('service_role', c.oid, 'select') and has_table_privilege('service_role', c.oid, 'insert')
        and has_table_privilege('service_role', c.oid, 'update') and has_table_privilege('service_role', c.oid, 'delete'))`);
    expect(refused).toEqual([]);
  });
});
