import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ClientOfQueue, openClientOfQueue } from "../../kit/queues/client-of-queue.ts";

const VIDEO = "a video, to its last byte";
const PROJECT = "00000000-0000-0000-0000-000000000000";

let client: ClientOfQueue;
let pool: string;
/** The project's storage. */
const storage = createServer((request, response) => {
  response.on("error", () => undefined);
  if (request.url?.endsWith("/broken.mp4")) {
    response.writeHead(200, { "content-length": VIDEO.length + 9 }).write(VIDEO);
    response.destroy();
  } else if (request.url?.includes("/lost.mp4")) {
    response.writeHead(404).end();
  } else {
    response.writeHead(200, { "content-length": VIDEO.length }).end(VIDEO);
  }
}).on("clientError", (_error, socket) => socket.destroy());
let storageUrl = "";

beforeAll(async () => {
  await once(storage.listen(0, "127.0.0.1"), "listening");
  storageUrl = `http://127.0.0.1:${(storage.address() as AddressInfo).port}`;
  client = await openClientOfQueue({ SUPABASE_PUBLIC_URL: storageUrl });
  pool = await client.queue.newPool();
});
afterAll(async () => {
  await client?.close();
  storage.close();
  storage.closeAllConnections();
});

describe("a timeline", () => {
  it("of a task and of a worker tells what happened, each also as JSON", async () => {
    const [worker = ""] = await client.queue.newWorkers(pool, 1, { ready_at: new Date().toISOString() });
    const id = await client.queue.addTask(pool);
    await client.queue.fail(await client.queue.lease(worker), "no model");
    await client.queue.finish(await client.queue.lease(worker));
    await client.queue.rows(
      "insert into system_logs (source_type, source_id, worker_id, task_id, log_level, message) values ('worker', $1, $1, $2, 'INFO', 'loading')",
      [worker, id],
    );
    const { stdout } = await client.run(["task", "timeline", id.slice(0, 13)]);
    expect(stdout).toContain(`${id} Complete`);
    for (const part of [
      /created +generate_video/,
      /attempt 1 ended after \ds: no model/,
      /attempt +2 on worker/,
      /log +loading/,
    ]) {
      expect(stdout).toMatch(part);
    }
    const { entries } = await client.runJson<{ entries: { kind: string; worker?: string }[] }>("task", "timeline", id);
    expect(entries.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(["created", "attempt", "task_error", "completed", "complete"]),
    );
    const own = await client.run(["worker", "timeline", worker]);
    expect(own.stdout).toContain(`${id.slice(0, 8)} (generate_video), attempt 1`);
    const alias = await client.run(["logs", "--worker-timeline", worker, "--json"]);
    expect(JSON.parse(alias.stdout)).toMatchObject({ id: worker, status: "active" });
    expect(await client.run(["worker", "timeline", "nobody"])).toMatchObject({ exitCode: 3 });
    expect(await client.run(["task", "timeline", "zz"])).toMatchObject({ exitCode: 2 });
    expect(await client.run(["logs", "--worker-timeline", worker, "--follow"])).toMatchObject({ exitCode: 2 });
  });
});

describe("gpu-pool task download", () => {
  const complete = async (location: string | null, result: object = {}) => {
    const id = randomUUID();
    const text = `insert into tasks (id, task_type, pool, status, project_id, output_location, result_data)
      values ($1, 't2v', $2, 'Complete', $3, $4, $5)`;
    await client.write([text, id, pool, PROJECT, location, JSON.stringify(result)]);
    return id;
  };

  const folder = () => join(client.cwd, "results");
  it("writes each file of the result once, under a safe name, and never over another unless asked", async () => {
    const id = await complete(`${storageUrl}/videos/..%2Fa.mp4`, { other_urls: [`${storageUrl}/videos/b.mp4`] });
    const { stdout } = await client.run(["task", "download", id.slice(0, 13), "-o", `${folder()}/`]);
    expect(stdout.split("\n")).toEqual([
      join(folder(), `${id.slice(0, 8)}-_a.mp4`),
      join(folder(), `${id.slice(0, 8)}-b.mp4`),
    ]);
    expect(await readdir(folder())).toHaveLength(2);
    expect(await readFile(join(folder(), `${id.slice(0, 8)}-b.mp4`), "utf8")).toBe(VIDEO);
    const again = await client.run(["task", "download", id, "-o", `${folder()}/`]);
    expect(again).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("is there already") as string });
    expect(await client.run(["task", "download", id, "-o", `${folder()}/`, "--overwrite"])).toMatchObject({
      exitCode: 0,
    });
    expect(await client.run(["task", "download", id, "-o", join(client.cwd, "one.mp4")])).toMatchObject({
      exitCode: 2,
    });
  });

  it("leaves nothing of a file that breaks off, is lost or lies elsewhere", async () => {
    const failures = [
      [await complete(`${storageUrl}/broken.mp4`), 4, "could not be read"],
      [await complete(`${storageUrl}/lost.mp4`), 3, "was answered 404"],
      [await complete("http://127.0.0.1:1/x.mp4"), 1, "is no address of the project's storage"],
      [await complete(null), 1, "has no file"],
      [await client.queue.addTask(pool), 1, "is Queued: it has no result"],
    ] as const;
    for (const [id, exitCode, reason] of failures) {
      const ran = await client.run(["task", "download", id, "-o", join(client.cwd, "nothing.mp4")]);
      expect(ran).toMatchObject({ exitCode, stderr: expect.stringContaining(reason) as string });
    }
    expect((await readdir(client.cwd)).filter((name) => name !== "results")).toEqual([]);
  });
});

describe("gpu-pool submit", () => {
  it("makes a task of each prompt of a list, from a file or stdin, and takes the beginning of an id to wait for", async () => {
    const first = await client.queue.addTask(pool);
    const args = ["submit", "--frames", "9", "--depends-on", first.slice(0, 13), "--prompts"];
    const { stdout } = await client.run([...args, "-"], {}, "a cat\r\n\n a dog \n");
    const rows = "select params, dependant_on from tasks where id = any($1) order by params ->> 'prompt'";
    expect(await client.queue.rows(rows, [stdout.split("\n")])).toEqual([
      { params: { prompt: "a cat", frames: 9 }, dependant_on: first },
      { params: { prompt: "a dog", frames: 9 }, dependant_on: first },
    ]);
    expect(await client.run(["submit", "--prompts", join(client.cwd, "missing.txt")])).toMatchObject({ exitCode: 2 });
    expect(await client.run(["submit", "--prompts", "-"], {}, "\n")).toMatchObject({ exitCode: 2 });
    expect(await client.run(["submit", "--prompts", "a", "--prompt", "b"])).toMatchObject({ exitCode: 2 });
    expect(await client.run(["submit", "--prompt", "b", "--depends-on", "zz"])).toMatchObject({ exitCode: 2 });
  });

  it.skipIf(process.platform !== "linux")("waits with --open and hands the result to the desktop", async () => {
    const bin = join(client.cwd, "bin");
    await mkdir(bin);
    await writeFile(
      join(bin, "xdg-open"),
      `#!/bin/sh\nprintf '%s %s' "$1" "$SUPABASE_SERVICE_ROLE_KEY" > "$0.part"\nmv "$0.part" "$0.out"\n`,
    );
    await chmod(join(bin, "xdg-open"), 0o755);
    const own = await client.queue.newPool();
    const running = client.run(["submit", "--prompt", "x", "--pool", own, "--open"], { PATH: `${bin}:/usr/bin:/bin` });
    const waiting = () => client.queue.rows<{ id: string }>("select id from tasks where pool = $1", [own]);
    await expect.poll(waiting).toHaveLength(1);
    const [task] = await waiting();
    const url = `https://files.example/${task?.id}.mp4`;
    await client.write(["update tasks set status = 'Complete', output_location = $2 where id = $1", task?.id, url]);
    expect(await running).toMatchObject({ exitCode: 0, stdout: url });
    await expect.poll(() => readFile(join(bin, "xdg-open.out"), "utf8").catch(() => "")).toBe(`${url} `);
  });
});
