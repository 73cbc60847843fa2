import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type ClaimedTask, leaseArgs, openQueue, type Queue } from "../../kit/queue.ts";

const HOST = "https://project.example";

describe("invariant 12: uploaded, verified, then completed", () => {
  let queue: Queue;
  let pool: string;
  let worker: string;
  let lease: ClaimedTask;
  beforeAll(async () => {
    queue = await openQueue();
    await queue.rows(
      "insert into storage.buckets (id, name, public) values ('videos', 'videos', true), ('other', 'other', true)",
    );
  });
  beforeEach(async () => {
    pool = await queue.newPool();
    await queue.addTask(pool);
    worker = await queue.newWorker(pool);
    lease = await queue.lease(worker);
  });
  afterAll(() => queue?.close());

  const store = (name: string, size: number | null = 1000, bucket = "videos") =>
    queue.rows("insert into storage.objects (bucket_id, name, metadata) values ($1, $2, $3)", [
      bucket,
      name,
      size === null ? {} : { size },
    ]);
  const url = (name: string, bucket = "videos") => `${HOST}/storage/v1/object/public/${bucket}/${name}`;
  const finish = (path: string | null, location: string | null, result: unknown = {}) =>
    queue.call<{ outcome: string }>("finish_task", {
      ...leaseArgs(lease),
      p_storage_path: path,
      p_output_location: location,
      p_result: result,
    });
  const refused = { code: "PT409", message: expect.stringContaining("is not in storage") };

  it("writes the result's columns, closes the lease and releases the worker, in one transaction", async () => {
    const name = `${lease.task_id}/task_a1.mp4`;
    await store(name);
    await queue.rows("update tasks set error_message = 'of an earlier attempt' where id = $1", [lease.task_id]);
    const result = { video_url: url(name), duration_seconds: 3.06 };
    expect(await finish(name, url(name), result)).toEqual({ outcome: "completed" });
    expect(await queue.task(lease.task_id)).toMatchObject({
      status: "Complete",
      output_location: url(name),
      result_data: result,
      error_message: null,
      generation_created: true,
      generation_processed_at: expect.any(Date),
      worker_id: worker,
      attempts: 1,
    });
    const attempts = "select cause, progress, error from task_attempts where task_id = $1 and ended_at is not null";
    expect(await queue.rows(attempts, [lease.task_id])).toEqual([{ cause: "completed", progress: 1, error: null }]);
  });

  it("answers a repeated completion without changing anything", async () => {
    const name = `${lease.task_id}/task_a1.mp4`;
    await store(name);
    await finish(name, url(name), { n: 1 });
    const before = await queue.task(lease.task_id);
    expect(await finish(name, url(name), { n: 2 })).toEqual({ outcome: "already_completed" });
    expect(await queue.task(lease.task_id)).toEqual(before);
  });

  it.each<[string, (id: string) => Promise<[string | null, string | null]>]>([
    ["was never uploaded", async (id) => [`${id}/a.mp4`, url(`${id}/a.mp4`)]],
    [
      "is empty",
      async (id) => {
        await store(`${id}/a.mp4`, 0);
        return [`${id}/a.mp4`, url(`${id}/a.mp4`)];
      },
    ],
    [
      "has no known size",
      async (id) => {
        await store(`${id}/a.mp4`, null);
        return [`${id}/a.mp4`, url(`${id}/a.mp4`)];
      },
    ],
    [
      "is in a bucket other than its URL's",
      async (id) => {
        await store(`${id}/a.mp4`, 1000, "other");
        return [`${id}/a.mp4`, url(`${id}/a.mp4`, "videos")];
      },
    ],
    [
      "is not the file in the URL",
      async (id) => {
        await store(`${id}/a.mp4`);
        return [`${id}/a.mp4`, url(`${id}/b.mp4`)];
      },
    ],
    [
      "has a name with wildcards that would match any URL",
      async (id) => {
        await store(`${id}/%`);
        return [`${id}/%`, url(`${id}/b.mp4`)];
      },
    ],
    [
      "has no URL",
      async (id) => {
        await store(`${id}/a.mp4`);
        return [`${id}/a.mp4`, null];
      },
    ],
    [
      "is missing although there is a URL",
      async (id) => {
        await store(`${id}/a.mp4`);
        return [null, url(`${id}/a.mp4`)];
      },
    ],
  ])("refuses a file that %s, and leaves the lease open", async (_, prepare) => {
    const [path, location] = await prepare(lease.task_id);
    await expect(finish(path, location)).rejects.toMatchObject(refused);
    expect(await queue.task(lease.task_id)).toMatchObject({ status: "In Progress", output_location: null });
    expect(await queue.lease(worker)).toMatchObject({ lease_token: lease.lease_token });
  });

  it("says of a file under the path of another task whose folder it lies in", async () => {
    const id = lease.task_id;
    const other = await queue.addTask(pool);
    for (const [folder, place] of [
      [`x${id}`, `the folder x${id}`],
      [other, `the folder of task ${other}`],
    ]) {
      await store(`${folder}/a.mp4`);
      await expect(finish(`${folder}/a.mp4`, url(`${folder}/a.mp4`))).rejects.toMatchObject({
        code: "PT409",
        message: `task ${id} cannot complete: object ${folder}/a.mp4 is not a file of this task: it lies in ${place}`,
      });
    }
    expect(await queue.lease(worker)).toMatchObject({ lease_token: lease.lease_token });
  });

  it("accepts the public address of a name with characters that URLs encode, as storage clients write it", async () => {
    const name = `${lease.task_id}/a cat, 100%25 größer #1?.mp4`;
    await store(name);
    const encoded = `${lease.task_id}/a%20cat,%20100%2525%20gr%C3%B6%C3%9Fer%20%231%3F.mp4`;
    await expect(finish(name, url(`${encoded}%ff`))).rejects.toMatchObject(refused);
    expect(await finish(name, url(encoded))).toEqual({ outcome: "completed" });
    expect(await queue.task(lease.task_id)).toMatchObject({ output_location: url(encoded) });
  });

  it("accepts a sub-task's file for an orchestrator's task, and no other task's file", async () => {
    const ref = { params: { orchestrator_task_id_ref: lease.task_id } };
    const child = await queue.addTask(pool, ref);
    const foreign = await queue.addTask(pool, { ...ref, project_id: await queue.newProject() });
    const stranger = await queue.addTask(pool);
    for (const id of [foreign, stranger, `x${child}`, child.slice(0, 8)]) {
      await store(`${id}/final.mp4`);
      await expect(finish(`${id}/final.mp4`, url(`${id}/final.mp4`))).rejects.toMatchObject({
        code: "PT409",
        message: expect.stringContaining("is not a file of this task"),
      });
    }
    await store(`${child}/final.mp4`);
    expect(await finish(`${child}/final.mp4`, url(`${child}/final.mp4`))).toEqual({ outcome: "completed" });
    expect(await queue.task(lease.task_id)).toMatchObject({ output_location: url(`${child}/final.mp4`) });
  });

  it("accepts a name with the characters of patterns", async () => {
    const name = `${lease.task_id}/100%_\\done.mp4`;
    await store(name);
    expect(await finish(name, url(name))).toEqual({ outcome: "completed" });
  });

  it("opens what waited for a task whose project is not there, as a row of an adopted table may be", async () => {
    const session = await queue.session();
    await session.rows("begin");
    try {
      await session.rows("alter table tasks drop constraint tasks_project_id_fkey");
      const project = "99999999-0000-0000-0000-000000000000";
      await session.rows("update tasks set project_id = $2 where id = $1", [lease.task_id, project]);
      const insert = "insert into tasks (task_type, pool, dependant_on) values ('vace', $1, $2)";
      await session.rows(insert, [pool, lease.task_id]);
      const nothing = { p_storage_path: null, p_output_location: null, p_result: {} };
      await session.call("finish_task", { ...leaseArgs(lease), ...nothing });
      const waiting = await session.rows("select gate from tasks where dependant_on = $1", [lease.task_id]);
      expect(waiting).toEqual([{ gate: "open" }]);
    } finally {
      await session.rows("rollback");
    }
  });

  it("completes a task that makes no file by its result alone", async () => {
    expect(await finish(null, null, { text: "done" })).toEqual({ outcome: "completed" });
    expect(await queue.task(lease.task_id)).toMatchObject({ status: "Complete", result_data: { text: "done" } });
  });
});
