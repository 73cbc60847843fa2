import { readFile } from "node:fs/promises";
import { expect } from "vitest";
import { launchClient } from "../client.ts";
import { makeSample } from "../gpu-worker/samples.ts";
import { expectDoneOnce } from "../lifecycle.ts";
import type { TestStack } from "../stack.ts";

/** A type that our table lacks: Headless-Wan2GP renders it by its usual model, and our GPU worker does not claim it. */
const THEIRS = "own_render";
const OURS = "generate_depth";
const OF_BOTH = "generate_video";

/** What the pool's pods can do, for `doMixedQueue`. */
export const MIXED_TASK_TYPES = ["headless-wan2gp", THEIRS] as const;

/** What each did whose workers have these origins. */
export const EACH_ITS_OWN = { theirs: ["pool"], ours: ["external"] } as const;

/**
 * Lets the pool's pods and a GPU worker of ours outside the pool work off one queue together.
 * @returns the origins of the workers that did the types which only one of the two can do
 */
export async function doMixedQueue(stack: TestStack) {
  const picture = await storedPicture(stack);
  const tasks = [
    ...[1, 2, 3].flatMap(() => [
      { task_type: THEIRS, params: { prompt: "a cat", video_length: 9, resolution: "64x64" } },
      { task_type: OURS, params: { image: picture } },
    ]),
    ...[1, 2, 3, 4].map(() => ({
      task_type: OF_BOTH,
      params: { prompt: "a dog", video_length: 9, resolution: "64x64" },
    })),
  ];
  const inserted = await stack.rows<{ id: string }>(
    `insert into tasks (task_type, pool, params)
     select task_type, $1, params from jsonb_to_recordset($2) as t (task_type text, params jsonb) returning id`,
    [stack.pool, JSON.stringify(tasks)],
  );
  const ids = inserted.map(({ id }) => id);
  const ours = launchClient(["worker", "run", "--id", "box-ours"], { cwd: stack.directory, env: stack.env });
  try {
    await expectDoneOnce(stack, ids);
  } finally {
    ours.kill("SIGTERM");
    const { exitCode, stderr } = await ours;
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
  }
  const done = await stack.rows<{ task_type: string; origin: string; engine: string | null; url: string }>(
    `select t.task_type, w.origin, t.result_data ->> 'engine' as engine, t.output_location as url
     from tasks t join workers w on w.id = t.worker_id where t.id = any ($1)`,
    [ids],
  );
  expect(done).toHaveLength(tasks.length);
  const doersOf = (type: string) => [
    ...new Set(done.filter(({ task_type: each }) => each === type).map(({ origin }) => origin)),
  ];
  for (const { origin, engine, url } of done) {
    expect({ origin, engine }).toEqual({ origin, engine: origin === "external" ? "preview" : null });
    expect((await fetch(url)).status).toBe(200);
  }
  return { theirs: doersOf(THEIRS), ours: doersOf(OURS) };
}

/** @returns the address of a picture in the stack's storage */
async function storedPicture({ api, keys, directory }: TestStack): Promise<string> {
  const path = await makeSample(directory, "picture.png");
  const answer = await fetch(`${api}/storage/v1/object/videos/given/picture.png`, {
    method: "POST",
    headers: {
      apikey: keys.serviceRoleKey,
      authorization: `Bearer ${keys.serviceRoleKey}`,
      "content-type": "image/png",
    },
    body: await readFile(path),
  });
  expect(answer.status).toBe(200);
  return `${api}/storage/v1/object/public/videos/given/picture.png`;
}
