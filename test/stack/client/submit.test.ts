import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { poolWorkflowId } from "../../../src/contract/names.ts";
import { TASK_TYPES } from "../../../src/task-types/task-types.ts";
import { startTestStack, type TestStack } from "../../kit/stack.ts";
import { type Ran, runClient, runProcess } from "../../kit/client.ts";

let stack: TestStack;
let cwd = "";

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), "client-"));
  stack = await startTestStack();
});

afterAll(async () => {
  await stack.temporal.workflow
    .getHandle(poolWorkflowId(stack.pool))
    .terminate("the test is over")
    .catch(() => undefined);
  await stack.close();
  await rm(cwd, { recursive: true, force: true });
});

async function run(args: readonly string[], env: Readonly<Record<string, string>> = {}, input = ""): Promise<Ran> {
  return await runClient(args, { cwd, env: { ...stack.env, ...env }, input });
}

/** As `run`, by the real command: what it leaves open must not keep its process alive. */
async function runReal(args: readonly string[], env: Readonly<Record<string, string>> = {}, input = ""): Promise<Ran> {
  return await runProcess(args, { cwd, env: { ...stack.env, ...env }, input });
}

async function runJson(...args: string[]): Promise<Record<string, unknown>> {
  const { exitCode, stdout, stderr } = await run([...args, "--json"]);
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  return JSON.parse(stdout) as Record<string, unknown>;
}

describe("gpu-pool submit", () => {
  it("prints the ids of the inserted tasks, given as flags", async () => {
    const { exitCode, stdout } = await run(["submit", "--prompt", "flags", "--count", "3", "--priority", "-7"]);
    expect(exitCode).toBe(0);
    const ids = stdout.split("\n");
    const rows = await stack.rows("select params, priority, status from tasks where id = any($1)", [ids]);
    expect(rows).toEqual(
      Array.from({ length: 3 }, () => ({ params: { prompt: "flags" }, priority: -7, status: "Queued" })),
    );
    await stack.rows("delete from tasks where id = any($1)", [ids]);
  });

  it("inserts more than one batch, each task once, with its own fields", async () => {
    const lines = Array.from({ length: 1_203 }, (_, index) =>
      JSON.stringify({
        task_type: "generate_video",
        params: { prompt: "x", index },
        ...(index % 2 === 1 && { priority: index }),
      }),
    );
    const { exitCode, stdout } = await runReal(["submit", "--file", "-", "--json"], {}, lines.join("\n"));
    expect(exitCode).toBe(0);
    const { ids } = JSON.parse(stdout) as { ids: string[] };
    const rows = await stack.rows<{ id: string; index: number; priority: number }>(
      "select id, (params->>'index')::int as index, priority from tasks where pool = $1 order by 2",
      [stack.pool],
    );
    expect(rows).toEqual(ids.map((id, index) => ({ id, index, priority: index % 2 === 1 ? index : 0 })));
    await stack.rows("delete from tasks where id = any($1)", [ids]);
  });

  it("inserts nothing if any task is wrong, and names the line and the field", async () => {
    const input =
      '{"task_type":"generate_video","params":{}}\n{"task_type":"generate_video","params":{},"priority":"high"}\n';
    const { exitCode, stderr } = await run(["submit"], {}, input);
    expect(exitCode).toBe(2);
    expect(stderr).toContain("stdin: line 2: priority: expected a whole number");
    expect(await stack.rows("select id from tasks where pool = $1", [stack.pool])).toEqual([]);
  });

  it("finds wrong parameters before it sends, and shows in a dry run what they will be, without a database", async () => {
    const away = { SUPABASE_URL: "", SUPABASE_SERVICE_ROLE_KEY: "" };
    const wrong = await run(["submit", "--type", "t2v", "--prompt", "x", "--param", "steps=0"], away);
    expect(wrong).toMatchObject({ exitCode: 2, stdout: "" });
    expect(wrong.stderr).toContain("params.steps: expected an integer between 1 and 1000, got 0");
    const args = ["submit", "--type", "t2v", "--prompt", "x", "--frames", "84", "--dry-run"];
    const shown = await run(args, away);
    expect(shown.stdout).toMatch(/^1 × t2v\nPARAMETER .*\nprompt +"x" +params\.prompt$/m);
    expect(shown.stderr).toContain("The engine preview has no grid");
    const { stdout } = await run([...args, "--json"], away);
    expect(JSON.parse(stdout)).toMatchObject({
      tasks: [{ task_type: "t2v", parameters: { video_length: { value: 81, from: ["params.frames"] } }, kept: {} }],
    });
  });

  it("sends a type that nobody knows with a warning, and one that the database knows without", async () => {
    await stack.rows("insert into task_types (name) values ('make_tea')");
    const known = await run(["submit", "--type", "make_tea", "--param", "cups=2", "--dry-run"]);
    expect(known).toMatchObject({ exitCode: 0, stdout: '1 × make_tea\n{"cups":2}' });
    expect(known.stderr).not.toContain("warning");
    const { exitCode, stdout, stderr } = await run(["submit", "--type", "make_coffee", "--param", "cups=2"]);
    expect(exitCode).toBe(0);
    expect(stderr).toContain(
      "warning: make_coffee: neither gpu-pool types nor the database's task_types has this type",
    );
    const stored = "delete from tasks where id = $1 returning task_type, params";
    expect(await stack.rows(stored, [stdout])).toEqual([{ task_type: "make_coffee", params: { cups: 2 } }]);
  });

  it("lists the task types, or the parameters of one", async () => {
    const all = await runJson("types");
    expect(all).toHaveLength(TASK_TYPES.length);
    const video = await run(["types", "video_generation"]);
    expect(video.stdout).toMatch(/^generate_video, also video_generation: direct/);
    expect(await run(["types", "tea"])).toMatchObject({ exitCode: 3, stdout: "" });
  });

  it("names the missing task if another depends on it", async () => {
    const missing = "0b9c4a52-8a52-4a3c-9f3e-0a1b2c3d4e5f";
    const { exitCode, stderr } = await run(["submit", "--prompt", "x", "--depends-on", missing]);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(missing);
  });
});
