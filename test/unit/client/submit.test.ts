import { once } from "node:events";
import { createServer } from "node:http";
import { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { TASK_TYPES } from "../../../src/task-types/task-types.ts";
import { runClient } from "../../kit/client.ts";

/** A database with two task types of its own, which stores every task. */
const stored: unknown[] = [];
const database = createServer((request, response) => {
  const answer = (status: number, body: unknown) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  if (request.method === "POST" && request.url?.startsWith("/rest/v1/tasks")) {
    void text(request).then((body) => {
      stored.push(...(JSON.parse(body) as unknown[]));
      answer(201, null);
    });
    return;
  }
  const types = [
    { name: "make_tea", alias_of: null },
    { name: "tea_video", alias_of: "t2v" },
  ];
  answer(200, /^\/rest\/v1\/task_types(?!.*name=gt)/.test(request.url ?? "") ? types : []);
});
let url = "";

beforeAll(async () => {
  await once(database.listen(0, "127.0.0.1"), "listening");
  url = `http://127.0.0.1:${(database.address() as AddressInfo).port}`;
});
afterAll(() => database.close());

function run(args: readonly string[], input = "") {
  return runClient(args, { cwd: tmpdir(), env: {}, input });
}

function runThere(...args: string[]) {
  const env = { SUPABASE_URL: url, SUPABASE_ANON_KEY: "public", SUPABASE_SERVICE_ROLE_KEY: "a-key" };
  return runClient(args, { cwd: tmpdir(), env });
}

const VIDEO = ["submit", "--type", "t2v", "--prompt", "x"];

it("finds wrong parameters before it sends, without a database", async () => {
  const flags = await run([...VIDEO, "--param", "steps=0"]);
  expect(flags).toMatchObject({ exitCode: 2, stdout: "" });
  expect(flags.stderr).toContain("gpu-pool: params.steps: expected an integer between 1 and 1000, got 0\n");
  const lines = ['{"task_type":"t2v","params":{"prompt":"x"}}', '{"task_type":"vace","params":{"prompt":"x"}}'];
  const file = await run(["submit"], lines.join("\n"));
  expect(file).toMatchObject({ exitCode: 2, stdout: "" });
  expect(file.stderr).toContain("stdin: task 2: params.video_guide: expected the URL or path of a file, got nothing");
});

it("shows in a dry run what each parameter will be, and submits nothing", async () => {
  const args = [...VIDEO, "--frames", "84", "--param", "tea=1", "--count", "3", "--dry-run"];
  const shown = await run(args);
  expect(shown.exitCode).toBe(0);
  expect(shown.stdout).toMatch(/^3 × t2v\nPARAMETER .*\nprompt +"x" +params\.prompt$/m);
  expect(shown.stderr).toBe(
    "The engine preview has no grid: it renders the size and length that were asked for.\n" +
      "Nothing was submitted. Tasks are stored as they were given; the worker reads them so.",
  );
  const { stdout } = await run([...args, "--json"]);
  expect(JSON.parse(stdout)).toMatchObject({
    tasks: [
      {
        task_type: "t2v",
        count: 3,
        parameters: { video_length: { value: 81, from: ["params.frames"], adjusted: { from: 84 } } },
        kept: { tea: 1 },
      },
    ],
  });
  expect(await run([...args, "--wait"])).toMatchObject({ exitCode: 2 });
});

it("sends a type that nobody knows with a warning, and one that the database knows without", async () => {
  const known = await runThere("submit", "--type", "make_tea", "--param", "cups=2", "--dry-run");
  expect(known).toMatchObject({ exitCode: 0, stdout: '1 × make_tea\n{"cups":2}' });
  expect(known.stderr).not.toContain("warning");
  const alias = await runThere("submit", "--type", "tea_video", "--param", "cups=2");
  expect(alias.stderr).toContain("params.prompt: expected a text that is not empty, got nothing");
  expect(stored).toEqual([]);
  const { exitCode, stderr } = await runThere("submit", "--type", "make_coffee", "--param", "steps=many");
  expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  expect(stderr).toContain("warning: make_coffee: neither gpu-pool types nor the database's task_types has this type");
  expect(stored).toMatchObject([{ task_type: "make_coffee", params: { steps: "many" } }]);
});

it("stores a task under the names that were given, which an older worker reads", async () => {
  stored.length = 0;
  const { exitCode } = await runThere(...VIDEO, "--frames", "84", "--lora", "a.safetensors");
  expect(exitCode).toBe(0);
  expect(stored).toMatchObject([
    { task_type: "t2v", params: { prompt: "x", frames: 84, lora_weights: ["a.safetensors"] } },
  ]);
});

it("lists the task types, or the parameters of one", async () => {
  const all = JSON.parse((await run(["types", "--json"])).stdout) as object[];
  expect(all).toHaveLength(TASK_TYPES.length);
  expect(all[0]).toMatchObject({
    name: "generate_video",
    aliases: ["video_generation"],
    doers: expect.arrayContaining(["gpu-worker"]) as unknown,
    parameters: expect.arrayContaining([expect.objectContaining({ name: "seed", default: -1 })]) as unknown,
  });
  expect((await run(["types", "video_generation"])).stdout).toMatch(/^generate_video, also video_generation: direct/);
  expect(await run(["types", "tea"])).toMatchObject({ exitCode: 3, stdout: "" });
});

it("knows the types of the modules that the environment names", async () => {
  const module = fileURLToPath(new URL("../../../docs/examples/own-task-types.mjs", import.meta.url));
  const runWith = (args: readonly string[], modules = module) =>
    runClient(args, { cwd: tmpdir(), env: { TASK_TYPE_MODULES: modules } });
  const submit = ["submit", "--type", "rotate_video", "--dry-run", "--param", "video=a.mp4"];
  const wrong = await runWith([...submit, "--param", "direction=up"]);
  expect(wrong).toMatchObject({ exitCode: 2 });
  expect(wrong.stderr).toContain('params.direction: expected "left" or "right", got "up"');
  const right = await runWith([...submit, "--json"]);
  expect(right.stdout).toContain('"right"');
  expect((await runWith(["types", "turn_video"])).stdout).toContain("a video, turned to its side");
  const missing = await runWith(["types"], "/nowhere/types.mjs");
  expect(missing.exitCode).toBe(2);
  expect(missing.stderr).toMatch(/TASK_TYPE_MODULES: \/nowhere\/types.mjs: it cannot be loaded/);
});
