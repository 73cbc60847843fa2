import { randomUUID } from "node:crypto";
import type { AddressInfo } from "node:net";
import Fastify, { type FastifyInstance, type FastifyReply } from "fastify";

export interface FakeTask {
  readonly id: string;
  readonly taskType: string;
  readonly params: unknown;
  status: "Queued" | "In Progress" | "Complete" | "Failed";
  attempt: number;
  leaseToken: string | null;
  error: string | null;
  permanent: boolean | null;
  result: Record<string, unknown> | null;
  outputLocation: string | null;
  readonly progress: number[];
}

export interface Call {
  readonly name: string;
  readonly body: Record<string, unknown>;
  readonly token: string | undefined;
}

/** Rows, objects and switches of the fake; tests read and set them directly. */
export interface FakeState {
  workerStatus: string;
  readonly tasks: FakeTask[];
  readonly objects: Map<string, Buffer>;
  readonly calls: Call[];
  /** Answers that replace the normal ones, by call name: an HTTP status, or "hang" for no answer. */
  readonly faults: Map<string, number | "hang">;
  /** A text in any call that is answered 400, as a text that Postgres does not store. */
  refusedText: string | null;
}

export interface FakeServer {
  readonly url: string;
  readonly state: FakeState;
  addTask(params: unknown, taskType?: string): FakeTask;
  calls(name: string): Call[];
  close(): Promise<void>;
}

const PUBLIC = "/storage/v1/object/public/videos/";

/** The database functions, the edge function and the storage routes that a GPU worker uses, in memory. */
export async function startFakeServer(): Promise<FakeServer> {
  const state: FakeState = {
    workerStatus: "active",
    tasks: [],
    objects: new Map(),
    calls: [],
    faults: new Map(),
    refusedText: null,
  };
  const app = Fastify({ forceCloseConnections: true });
  app.addContentTypeParser(/^multipart\/form-data/, { parseAs: "buffer", bodyLimit: 2 ** 26 }, (_request, body, done) =>
    done(null, body),
  );
  app.addHook("preHandler", async (request, reply) => {
    const name = request.url.startsWith(PUBLIC)
      ? "head"
      : (/\/(?:rpc|functions\/v1|object)\/([\w-]+)/.exec(request.url)?.[1] ?? "");
    const token = request.headers["x-worker-token"];
    const body = Buffer.isBuffer(request.body) ? {} : ((request.body ?? {}) as Record<string, unknown>);
    state.calls.push({ name, body, token: Array.isArray(token) ? token[0] : token });
    if (isUnstorable(state, body)) {
      return reply.code(400).send({ code: "PGRST102", message: "Empty or invalid json", details: null, hint: null });
    }
    const fault = state.faults.get(name);
    if (fault === "hang") {
      await new Promise(() => undefined);
    }
    if (typeof fault === "number") {
      return reply.code(fault).send({ code: "", message: `set to answer ${fault}` });
    }
    return undefined;
  });
  addClaiming(app, state);
  addTaskEnds(app, state);
  addStorage(app, state);
  await app.listen({ host: "127.0.0.1", port: 0 });
  return {
    url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`,
    state,
    addTask(params, taskType = "generate_video") {
      const task: FakeTask = {
        id: randomUUID(),
        taskType,
        params,
        status: "Queued",
        attempt: 0,
        leaseToken: null,
        error: null,
        permanent: null,
        result: null,
        outputLocation: null,
        progress: [],
      };
      state.tasks.push(task);
      return task;
    },
    calls: (name) => state.calls.filter((call) => call.name === name),
    close: () => app.close(),
  };
}

function isUnstorable({ refusedText }: FakeState, body: object): boolean {
  const json = JSON.stringify(body);
  const isOdd = /(?<!\\)(?:\\\\)*\\u(?:0000|d[89a-f])/.test(json);
  return isOdd || (refusedText !== null && json.includes(refusedText));
}

type Args = Record<string, unknown>;

function addRpc(app: FastifyInstance, name: string, answer: (args: Args, reply: FastifyReply) => unknown): void {
  app.post(`/rest/v1/rpc/${name}`, async (request, reply) => answer(request.body as Args, reply));
}

function findHeld(state: FakeState, args: Args): FakeTask | undefined {
  return state.tasks.find((task) => task.id === args.p_task_id && task.leaseToken === args.p_lease_token);
}

function claim(state: FakeState) {
  const open = state.tasks.find((task) => task.status === "In Progress" && task.leaseToken !== null);
  const next = state.workerStatus === "active" ? state.tasks.find((task) => task.status === "Queued") : undefined;
  const task = open ?? next;
  if (task === undefined) {
    return { worker_status: state.workerStatus, task: null };
  }
  if (task !== open) {
    task.status = "In Progress";
    task.attempt += 1;
    task.leaseToken = randomUUID();
  }
  const { id, taskType, params, attempt, leaseToken } = task;
  return {
    worker_status: state.workerStatus,
    task: { task_id: id, task_type: taskType, params, project_id: null, attempt, lease_token: leaseToken },
  };
}

function addClaiming(app: FastifyInstance, state: FakeState): void {
  addRpc(app, "worker_heartbeat", () => ({ worker_status: state.workerStatus }));
  addRpc(app, "worker_can_do", () => ({ worker_status: state.workerStatus }));
  addRpc(app, "claim_task", () => claim(state));
  addRpc(app, "report_progress", (args) => {
    const task = findHeld(state, args);
    task?.progress.push(args.p_progress as number);
    return { held: task !== undefined };
  });
}

/** null: the file is not in storage. */
function finish(state: FakeState, args: Args): { outcome: string } | null {
  const task = findHeld(state, args);
  if (task === undefined) {
    return { outcome: "lease_lost" };
  }
  if (task.status === "Complete") {
    return { outcome: "already_completed" };
  }
  if (args.p_storage_path !== null && !state.objects.has(args.p_storage_path as string)) {
    return null;
  }
  task.status = "Complete";
  task.result = args.p_result as Record<string, unknown>;
  task.outputLocation = args.p_output_location as string;
  return { outcome: "completed" };
}

function refuseFile(reply: FastifyReply): FastifyReply {
  return reply.code(400).send({ code: "P0001", message: "no such object in storage", details: null, hint: null });
}

function addTaskEnds(app: FastifyInstance, state: FakeState): void {
  addRpc(app, "finish_task", (args, reply) => finish(state, args) ?? refuseFile(reply));
  addRpc(app, "finish_and_claim", (args, reply) => {
    const finished = finish(state, args);
    if (finished === null) {
      return refuseFile(reply);
    }
    const exists = state.tasks.some(({ leaseToken }) => leaseToken === args.p_lease_token);
    return { ...finished, ...(exists ? claim(state) : { worker_status: "unknown", task: null }) };
  });
  addRpc(app, "fail_task", (args) => {
    const task = findHeld(state, args);
    if (task === undefined) {
      return { outcome: "lease_lost" };
    }
    task.error = args.p_error as string;
    task.permanent = args.p_permanent as boolean;
    task.status = task.permanent ? "Failed" : "Queued";
    task.leaseToken = null;
    return { outcome: task.permanent ? "failed" : "requeued" };
  });
  addRpc(app, "release_task", (args) => {
    const task = findHeld(state, args);
    if (task === undefined) {
      return { outcome: "lease_lost" };
    }
    task.status = "Queued";
    task.leaseToken = null;
    return { outcome: "released" };
  });
}

function addStorage(app: FastifyInstance, state: FakeState): void {
  app.post("/functions/v1/generate-upload-url", async (request, reply) => {
    const body = request.body as Record<string, string | boolean | undefined>;
    const task = state.tasks.find(({ id, leaseToken }) => id === body.task_id && leaseToken === body.lease_token);
    if (task === undefined) {
      return reply.code(403).send({ error: "forbidden", message: "the lease is not held" });
    }
    const path = (filename: unknown) => {
      const own = `${task.id}/${String(filename)}`;
      return state.objects.has(own) ? own.replace(/(\.\w+)$/, "-again$1") : own;
    };
    return {
      upload_url: "unused",
      storage_path: path(body.filename),
      token: path(body.filename),
      expires_at: new Date(Date.now() + 7_200_000).toISOString(),
      ...(body.generate_thumbnail_url === true && {
        thumbnail_storage_path: path(body.thumbnail_filename),
        thumbnail_token: path(body.thumbnail_filename),
      }),
    };
  });
  app.put<{ Params: { "*": string }; Querystring: { token: string } }>(
    "/storage/v1/object/upload/sign/videos/*",
    { bodyLimit: 2 ** 26 },
    async (request, reply) => {
      const path = request.params["*"];
      if (request.query.token !== path) {
        return reply.code(400).send({ statusCode: "403", error: "InvalidJWT", message: "token of another object" });
      }
      if (state.objects.has(path)) {
        return reply.code(400).send({ statusCode: "409", error: "Duplicate", message: "The resource already exists" });
      }
      const headers = { "content-type": request.headers["content-type"] ?? "" };
      const form = await new Response(new Uint8Array(request.body as Buffer), { headers }).formData();
      state.objects.set(path, Buffer.from(await (form.get("") as File).arrayBuffer()));
      return { Key: `videos/${path}` };
    },
  );
  app.get<{ Params: { "*": string } }>(`${PUBLIC}*`, async (request, reply) => {
    const bytes = state.objects.get(request.params["*"]);
    if (bytes !== undefined) {
      return reply.type("video/mp4").send(bytes);
    }
    return reply.code(400).send({ statusCode: "404", error: "not_found", message: "Object not found" });
  });
}
