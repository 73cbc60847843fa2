import { randomUUID } from "node:crypto";
import type { AddressInfo } from "node:net";
import Fastify, { type FastifyInstance, type FastifyReply } from "fastify";

export interface StandInPrediction {
  readonly id: string;
  readonly model: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly cancelAfter: string | undefined;
  readonly created_at: string;
  status: string;
  output: unknown;
  error: string | null;
  logs: string;
}

/** Replicate's API as far as the GPU worker calls it, in memory. Tests read and set its state directly. */
export interface ReplicateStandIn {
  readonly url: string;
  readonly token: string;
  readonly predictions: StandInPrediction[];
  /** What was uploaded, by its address. */
  readonly files: Map<string, Buffer>;
  /** By method and kind, such as "POST predictions", "GET predictions", "POST files": how often each was called. */
  readonly calls: Map<string, number>;
  /** What becomes of a call after its work is done: a status replaces the answer, "cut" closes the connection. */
  fate: (call: string, nth: number) => number | "cut" | null;
  /** Whether a call that fails does its work all the same. */
  worksInVain: boolean;
  /** Called at each look at a prediction that is not final. */
  onLook: (prediction: StandInPrediction) => void;
  succeed(prediction: StandInPrediction): void;
  close(): Promise<void>;
}

/** @param result the picture that every prediction makes */
export async function startReplicate(result: Buffer): Promise<ReplicateStandIn> {
  const app = Fastify({ forceCloseConnections: true });
  const standIn: ReplicateStandIn = {
    url: "",
    token: randomUUID(),
    predictions: [],
    files: new Map(),
    calls: new Map(),
    fate: () => null,
    worksInVain: true,
    onLook: (prediction) => standIn.succeed(prediction),
    succeed(prediction) {
      prediction.status = "succeeded";
      prediction.output = `${standIn.url}/delivery/${prediction.id}.png`;
    },
    close: () => app.close(),
  };
  app.addContentTypeParser(/^multipart\/form-data/, { parseAs: "buffer", bodyLimit: 2 ** 26 }, (_request, body, done) =>
    done(null, body),
  );
  addFiles(app, standIn, result);
  addPredictions(app, standIn);
  await app.listen({ host: "127.0.0.1", port: 0 });
  return Object.assign(standIn, { url: `http://127.0.0.1:${(app.server.address() as AddressInfo).port}` });
}

async function answer(standIn: ReplicateStandIn, call: string, reply: FastifyReply, work: () => unknown) {
  const nth = (standIn.calls.get(call) ?? 0) + 1;
  standIn.calls.set(call, nth);
  if (reply.request.headers.authorization !== `Bearer ${standIn.token}`) {
    return await reply.code(401).send({ detail: "You did not pass a valid token" });
  }
  const fate = standIn.fate(call, nth);
  const done = fate === null || standIn.worksInVain ? await work() : null;
  if (fate === "cut") {
    return void reply.raw.destroy();
  }
  return await reply.code(fate ?? (done === null ? 404 : 201)).send(done ?? { detail: "set to fail" });
}

function addFiles(app: FastifyInstance, standIn: ReplicateStandIn, result: Buffer): void {
  app.post("/v1/files", (request, reply) =>
    answer(standIn, "POST files", reply, async () => {
      const headers = { "content-type": request.headers["content-type"] ?? "" };
      const form = await new Response(new Uint8Array(request.body as Buffer), { headers }).formData();
      const address = `${standIn.url}/v1/files/${randomUUID()}/download`;
      standIn.files.set(address, Buffer.from(await (form.get("content") as File).arrayBuffer()));
      return { id: "f1", urls: { get: address } };
    }),
  );
  app.get("/delivery/:name", async (_request, reply) => reply.type("image/png").send(result));
}

interface Id {
  Params: { id: string };
}

function addPredictions(app: FastifyInstance, standIn: ReplicateStandIn): void {
  const find = (id: string) => standIn.predictions.find((each) => each.id === id) ?? null;
  app.post<{ Params: { owner: string; name: string }; Body: { input: Record<string, unknown> } }>(
    "/v1/models/:owner/:name/predictions",
    (request, reply) =>
      answer(standIn, "POST predictions", reply, () => {
        const { owner, name } = request.params;
        const prediction: StandInPrediction = {
          id: `p${standIn.predictions.length + 1}`,
          model: `${owner}/${name}`,
          input: request.body.input,
          cancelAfter: request.headers["cancel-after"]?.toString(),
          created_at: new Date().toISOString(),
          status: "starting",
          output: null,
          error: null,
          logs: "",
        };
        standIn.predictions.push(prediction);
        return prediction;
      }),
  );
  // Two a page, so that the next one has to be asked for.
  app.get<{ Querystring: { cursor?: string } }>("/v1/predictions", (request, reply) =>
    answer(standIn, "GET list", reply, () => {
      const from = Number(request.query.cursor ?? 0);
      const newest = standIn.predictions.toReversed();
      const next = from + 2 < newest.length ? `https://elsewhere.example/v1/predictions?cursor=${from + 2}` : null;
      return { next, previous: null, results: newest.slice(from, from + 2) };
    }),
  );
  app.get<Id>("/v1/predictions/:id", (request, reply) =>
    answer(standIn, "GET predictions", reply, () => {
      const prediction = find(request.params.id);
      if (prediction !== null && ["starting", "processing"].includes(prediction.status)) {
        standIn.onLook(prediction);
      }
      return prediction;
    }),
  );
  app.post<Id>("/v1/predictions/:id/cancel", (request, reply) =>
    answer(standIn, "POST cancel", reply, () => {
      const prediction = find(request.params.id);
      return prediction === null ? null : Object.assign(prediction, { status: "canceled" });
    }),
  );
}
