import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPeopleApi, type PeopleApi, type Person } from "../kit/api.ts";

describe("a quota", () => {
  let api: PeopleApi;
  let greedy: Person;
  let other: Person;
  beforeAll(async () => {
    api = await openPeopleApi();
    [greedy, other] = [await api.newPerson(), await api.newPerson()];
  });
  afterAll(() => api?.close());

  async function limited<T>(limit: string, act: () => Promise<T>): Promise<T> {
    await api.queue.rows(`update limits set ${limit} = 3`);
    try {
      return await act();
    } finally {
      await api.queue.rows(`update limits set ${limit} = default`);
    }
  }
  const create = (person: Person, id?: string) =>
    api.call("create-task", person.token, { task_type: "t", params: {}, project_id: person.project, task_id: id });
  const refusal = (limit: string) => [429, expect.stringContaining(`limit ${limit}`)] as const;

  it.each(["tasks_per_min", "open_tasks"])("of %s bounds one project and no other, and not the service key", (limit) =>
    limited(limit, async () => {
      await api.queue.rows("delete from tasks");
      for (let made = 0; made < 3; made += 1) {
        expect((await create(greedy)).status).toBeLessThan(300);
      }
      const refused = await create(greedy);
      expect([refused.status, JSON.stringify(refused.body)]).toEqual(refusal(limit));
      expect((await create(other)).status).toBeLessThan(300);
      await api.queue.addTask("main", { project_id: greedy.project });
    }),
  );

  it("of tokens bounds what a user makes, and a revoked one counts no more", () =>
    limited("tokens", async () => {
      const user = api.client(api.keys.anonKey, { Authorization: `Bearer ${greedy.jwt}` });
      const make = () => user.rpc("api_create_token", { p_label: "more" });
      const made = [await make(), await make()];
      expect(made.map(({ status }) => status)).toEqual([200, 200]);
      const refused = await make();
      expect([refused.status, refused.error?.message]).toEqual(refusal("tokens"));
      await api.queue.rows("update user_api_tokens set revoked_at = now() where id = $1", [made[0]!.data.id]);
      expect((await make()).status).toBe(200);
    }));

  it("of log bytes bounds a worker's lines, whatever time they state, and never its heartbeat", async () => {
    const pool = await api.queue.newPool();
    const worker = await api.queue.newWorker(pool);
    await api.giveToken(worker, "wt_logs");
    await api.queue.rows("update limits set log_bytes_per_min = 5000");
    const write = async () => {
      const line = { level: "INFO", message: "x".repeat(2_000), timestamp: "2020-01-01T00:00:00Z" };
      return await api.asWorker("wt_logs").rpc("worker_logs", { p_worker_id: worker, p_logs: [line] });
    };
    expect([(await write()).status, (await write()).status]).toEqual([200, 200]);
    const refused = await write();
    expect([refused.status, refused.error?.message]).toEqual(refusal("log_bytes_per_min"));
    const beat = { worker_id_param: worker, logs_param: [{ level: "INFO", message: "y".repeat(2_000) }] };
    const beaten = await api.asWorker("wt_logs").rpc("func_worker_heartbeat_with_logs", beat);
    expect(beaten.data).toMatchObject({ heartbeat_updated: true, logs_inserted: 0, log_errors: 1 });
    await api.queue.rows("update limits set log_bytes_per_min = default");
  });

  it("of webhooks bounds the addresses of a project", () =>
    limited("webhooks", async () => {
      const add = (count: number) =>
        api.queue.rows(
          "insert into notification_endpoints (project_id, url) select $1, 'https://example.com/' || n from generate_series(1, $2) n",
          [greedy.project, count],
        );
      await add(3);
      await expect(add(1)).rejects.toThrow("limit webhooks");
    }));
});
