import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createInputs, type OpenInputs } from "../../../src/gpu-worker/inputs/inputs.ts";
import { createRouter } from "../../../src/gpu-worker/router.ts";
import { createReplicateHandlers } from "../../../src/gpu-worker/tasks/magic-edit.ts";
import { type ReplicateStandIn, startReplicate } from "../../kit/gpu-worker/replicate.ts";
import { startLiveWorker, type LiveWorker } from "../../kit/gpu-worker/live-worker.ts";
import { makeSample } from "../../kit/gpu-worker/samples.ts";
import { openPeopleApi, type PeopleApi } from "../../kit/api.ts";

const PROMPT = "the same room at night";

/** Of somebody else with the same account. */
const othersPrediction = {
  model: "a/b",
  input: {},
  cancelAfter: undefined,
  status: "succeeded",
  output: null,
  error: null,
  logs: "",
  created_at: "2126-01-01T00:00:00Z",
};

interface Ended {
  readonly status: string;
  readonly error_message: string | null;
  readonly attempts: number;
  readonly result: Readonly<Record<string, unknown>> | null;
  readonly model: string | null;
}

describe("magic_edit, by Replicate", () => {
  let api: PeopleApi;
  let folder: string;
  let picture: Buffer;
  let replicate: ReplicateStandIn;
  let pool: string;
  let openInputs: OpenInputs;
  let workers: LiveWorker[];
  beforeAll(async () => {
    api = await openPeopleApi();
    folder = await mkdtemp(join(tmpdir(), "magic-edit-"));
    await makeSample(folder, "room.png");
    openInputs = createInputs({ maxBytes: 1e7, timeoutMs: 20_000, folders: [folder], ownOrigin: api.url });
    picture = await readFile(join(folder, "room.png"));
  });
  afterAll(async () => {
    await api?.close();
    await rm(folder, { recursive: true, force: true });
  });
  beforeEach(async () => {
    replicate = await startReplicate(picture);
    pool = await api.queue.newPool();
    workers = [];
  });
  afterEach(async () => {
    await Promise.all(workers.map((worker) => worker.crash()));
    await replicate.close();
  });

  async function startWorker(worker?: string, token = replicate.token, accessToken?: string): Promise<string> {
    const id = worker ?? (await api.queue.newWorker(pool));
    const options = { token, apiUrl: `${replicate.url}/v1`, pollMs: 20 };
    const router = createRouter({ can: () => true }, createReplicateHandlers(options));
    workers.push(await startLiveWorker(api, { worker: id, router, openInputs, ...(accessToken && { accessToken }) }));
    return id;
  }
  const submit = (params: object = {}) =>
    api.queue.addTask(pool, {
      task_type: "magic_edit",
      params: JSON.stringify({ image_url: "room.png", prompt: PROMPT, ...params }),
    });
  const ended = async (id: string) =>
    await api.queue.one<Ended>(
      "select status, error_message, attempts, result_data as result, result_data ->> 'model_used' as model from tasks where id = $1",
      [id],
    );
  const until = async (id: string, status: string) =>
    await expect.poll(async () => (await ended(id)).status).toBe(status);
  const untilCalled = async (call: string, times: number) =>
    await expect.poll(() => replicate.calls.get(call) ?? 0).toBeGreaterThanOrEqual(times);
  const neverEnds = () => (replicate.onLook = (prediction) => void (prediction.status = "processing"));

  it("sends the picture and the prompt, and stores what comes back", async () => {
    const id = await submit({ seed: 7, in_scene: true, resolution: "640x368" });
    await startWorker();
    await until(id, "Complete");
    const [prediction] = replicate.predictions;
    expect(prediction).toMatchObject({
      model: "black-forest-labs/flux-kontext-dev-lora",
      cancelAfter: "1800s",
      input: { prompt: PROMPT, seed: 7, aspect_ratio: "16:9", lora_weights: expect.stringMatching(/InScene/) },
    });
    expect(replicate.files.get(String(prediction?.input["input_image"]))).toEqual(picture);
    const { result, model } = await ended(id);
    expect(model).toBe("black-forest-labs/flux-kontext-dev-lora");
    expect(result).toMatchObject({ engine: "replicate", prediction_id: "p1", width: 64, height: 48, in_scene: true });
    const stored = await fetch(String(result?.["image_url"]));
    expect(Buffer.from(await stored.arrayBuffer())).toEqual(picture);
    expect(result).toMatchObject({ not_honoured: [{ param: "resolution" }] });
  });

  it("without in_scene takes no LoRA, and the ratio of the picture", async () => {
    const id = await submit();
    await startWorker();
    await until(id, "Complete");
    expect(replicate.predictions[0]?.input).not.toHaveProperty("lora_weights");
    expect(replicate.predictions[0]?.input).toMatchObject({ aspect_ratio: "match_input_image" });
  });

  it("pays once: a worker that crashes while it waits goes on with the same prediction", async () => {
    neverEnds();
    const id = await submit();
    const worker = await startWorker();
    await untilCalled("GET predictions", 2);
    await workers[0]?.crash();
    replicate.onLook = (prediction) => replicate.succeed(prediction);
    await startWorker(worker);
    await until(id, "Complete");
    expect(replicate.predictions).toHaveLength(1);
    expect(await ended(id)).toMatchObject({ attempts: 1, result: { prediction_id: "p1", attempt: 1 } });
  });

  it("pays once: the next attempt, by another worker, goes on with it too", async () => {
    neverEnds();
    const id = await submit();
    const worker = await startWorker();
    await untilCalled("GET predictions", 2);
    await workers[0]?.crash();
    await api.queue.call("fail_worker", {
      p_worker_id: worker,
      p_lease_cause: "worker_died",
      p_reason: "no heartbeat",
    });
    replicate.onLook = (prediction) => replicate.succeed(prediction);
    await startWorker();
    await until(id, "Complete");
    expect(replicate.predictions).toHaveLength(1);
    expect(await ended(id)).toMatchObject({ result: { prediction_id: "p1", attempt: 2 } });
  });

  it("pays once: a prediction whose answer was lost is found by its picture, behind newer ones", async () => {
    replicate.fate = (call, nth) => {
      if (call === "GET list" && nth === 1) {
        replicate.predictions.push(...["other1", "other2", "other3"].map((id) => ({ ...othersPrediction, id })));
      }
      return call === "POST predictions" ? "cut" : null;
    };
    const id = await submit();
    await startWorker();
    await until(id, "Complete");
    expect(replicate.predictions).toHaveLength(4);
    expect(await ended(id)).toMatchObject({ attempts: 1, result: { prediction_id: "p1" } });
  });

  it("pays once: it crashed after it had asked and before it could write down the answer", async () => {
    replicate.fate = (call) => {
      if (call === "POST predictions") {
        workers[0]?.orders.stop("abandon", "it crashes");
        return "cut";
      }
      return null;
    };
    const id = await submit();
    const worker = await startWorker();
    await untilCalled("POST predictions", 1);
    await workers[0]?.crash();
    replicate.fate = () => null;
    await startWorker(worker);
    await until(id, "Complete");
    expect(replicate.predictions).toHaveLength(1);
  });

  it("asks again where Replicate surely did not take the request", async () => {
    replicate.worksInVain = false;
    replicate.fate = (call, nth) => (call === "POST predictions" && nth <= 2 ? (nth === 1 ? 429 : 503) : null);
    const id = await submit();
    await startWorker();
    await until(id, "Complete");
    expect(replicate.predictions).toHaveLength(1);
  });

  it("pays once: a user's own machine, by the edge functions alone, goes on after a crash, and after its other machine", async () => {
    neverEnds();
    const ann = await api.newPerson();
    const { id } = await api.queue.one<{ id: string }>(
      "insert into tasks (task_type, params, project_id) values ('magic_edit', $1, $2) returning id",
      [{ image_url: "room.png", prompt: PROMPT }, ann.project],
    );
    await startWorker("laptop", replicate.token, ann.token);
    await untilCalled("GET predictions", 2);
    await workers[0]?.crash();
    await startWorker("laptop", replicate.token, ann.jwt);
    await untilCalled("GET predictions", (replicate.calls.get("GET predictions") ?? 0) + 2);
    workers[1]?.orders.stop("release", "the process received SIGTERM");
    await until(id, "Queued");
    replicate.onLook = (prediction) => replicate.succeed(prediction);
    await startWorker("desktop", replicate.token, ann.token);
    await until(id, "Complete");
    expect(replicate.predictions).toHaveLength(1);
    expect(await ended(id)).toMatchObject({ attempts: 1, result: { prediction_id: "p1", attempt: 2 } });
    expect(await api.queue.rows("select service from service_requests where task_id = $1", [id])).toEqual([
      { service: "replicate" },
    ]);
  });

  it.each(["a worker of a pool", "a user's own machine"])(
    "cancels the prediction of a task that is cancelled: %s",
    async (who) => {
      neverEnds();
      const ann = await api.newPerson();
      const id = await submit();
      await api.queue.rows("update tasks set project_id = $2 where id = $1", [id, ann.project]);
      await (who === "a worker of a pool" ? startWorker() : startWorker("laptop", replicate.token, ann.token));
      await untilCalled("GET predictions", 1);
      await api.queue.rows("update tasks set status = 'Cancelled' where id = $1", [id]);
      await expect.poll(() => replicate.predictions[0]?.status).toBe("canceled");
    },
  );

  it("leaves the prediction of a task that its worker hands back", async () => {
    neverEnds();
    const id = await submit();
    await startWorker();
    await untilCalled("GET predictions", 1);
    workers[0]?.orders.stop("release", "the process received SIGTERM");
    await until(id, "Queued");
    await workers[0]?.crash();
    expect(replicate.predictions).toMatchObject([{ status: "processing" }]);
  });

  it("a prediction that failed fails the attempt; the next one asks for a new one", async () => {
    replicate.onLook = (prediction) => {
      if (prediction.id === "p1") {
        Object.assign(prediction, { status: "failed", error: "the model ran out of memory" });
      } else {
        replicate.succeed(prediction);
      }
    };
    const id = await submit();
    await startWorker();
    await until(id, "Complete");
    expect(await ended(id)).toMatchObject({ attempts: 2, result: { prediction_id: "p2" } });
    const errors = await api.queue.rows("select error from ended_attempts where task_id = $1", [id]);
    expect(errors).toEqual([{ error: "Replicate: prediction p1 is failed: the model ran out of memory" }]);
  });

  it.each([
    ["a prompt that is missing", { prompt: null }, /params.prompt: expected a text that is not empty/],
    ["a file that is no picture", { image_url: "none.png" }, /params.image_url: expected a picture .*got "none.png"/],
  ])("fails for good for %s, and pays nothing", async (_what, params, message) => {
    const id = await submit(params);
    await startWorker();
    await until(id, "Failed");
    expect(await ended(id)).toMatchObject({ attempts: 1, error_message: expect.stringMatching(message) });
    expect(replicate.predictions).toEqual([]);
  });

  it("fails for good for what Replicate declines, and says what it said", async () => {
    replicate.fate = (call) => (call === "POST predictions" ? 422 : null);
    replicate.worksInVain = false;
    const id = await submit();
    await startWorker();
    await until(id, "Failed");
    expect(await ended(id)).toMatchObject({
      attempts: 1,
      error_message: expect.stringMatching(/^params: Replicate: a prediction was answered 422: /),
    });
  });

  it("a token that is not accepted fails attempts, and stands in no error", async () => {
    const id = await submit();
    await startWorker(undefined, "another-token");
    await until(id, "Failed");
    const { error_message: message, attempts } = await ended(id);
    expect(attempts).toBe(3);
    expect(message).toMatch(/answered 401/);
    expect(message).not.toContain("another-token");
  });

  it("is not done by a worker without a token", () => {
    expect(createReplicateHandlers(null)).toEqual({});
  });
});
