import { randomUUID } from "node:crypto";
import Fastify, { type FastifyInstance } from "fastify";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { registerFunctions } from "../../../src/dev/gateway/functions-host.ts";
import { type GatewayStack, startGatewayStack } from "../../kit/gateway.ts";

const TASK = "11111111-1111-4111-8111-111111111111";
const LEASE = "22222222-2222-4222-8222-222222222222";

describe("generate-upload-url", () => {
  let stack: GatewayStack;
  beforeAll(async () => {
    stack = await startGatewayStack(`
      create function public.authorize_upload(p_task_id uuid, p_lease_token uuid) returns jsonb
      language plpgsql security definer as $$
      begin
        if current_setting('request.headers', true)::jsonb ->> 'x-worker-token' is distinct from 'right' then
          raise insufficient_privilege using message = 'worker token is unknown';
        end if;
        return jsonb_build_object('allowed', p_lease_token = '${LEASE}', 'reason', 'lease is not open', 'attempt', 1);
      end $$;
      grant execute on function public.authorize_upload(uuid, uuid) to anon, authenticated, service_role;
    `);
  });
  afterAll(() => stack?.close());

  const body = (more: object = {}) => ({
    task_id: TASK,
    lease_token: LEASE,
    filename: "task_a1.mp4",
    content_type: "video/mp4",
    ...more,
  });
  const worker = (token = "right") => stack.client(stack.keys.anonKey, { "x-worker-token": token });
  const invoke = async (payload: object, token = "right", name = "generate-upload-url") => {
    const { data, error, response } = await worker(token).functions.invoke(name, { body: payload });
    return { status: response?.status, body: error === null ? data : await (error.context as Response).json() };
  };

  it("gives the worker that holds the lease upload URLs for its file and its thumbnail", async () => {
    const answer = await invoke(body({ generate_thumbnail_url: true, thumbnail_filename: "thumb.jpg" }));
    expect(answer.status).toBe(200);
    expect(answer.body).toMatchObject({
      storage_path: `${TASK}/task_a1.mp4`,
      thumbnail_storage_path: `${TASK}/thumb_a1.jpg`,
      thumbnail_token: expect.any(String),
      thumbnail_upload_url: expect.stringContaining("?token="),
    });
    const lifetimeMs = Date.parse(answer.body.expires_at) - Date.now();
    expect(lifetimeMs).toBeGreaterThan(0);
    expect(lifetimeMs).toBeLessThanOrEqual(2 * 60 * 60 * 1000);

    const bucket = worker().storage.from("videos");
    const { storage_path: path, token, thumbnail_upload_url: thumbnailUrl } = answer.body;
    const uploaded = await bucket.uploadToSignedUrl(path, token, Buffer.from("video"), { contentType: "video/mp4" });
    expect(uploaded.error).toBeNull();
    expect((await fetch(thumbnailUrl, { method: "PUT", body: "thumbnail" })).status).toBe(200);
    expect(await (await fetch(bucket.getPublicUrl(path).data.publicUrl)).text()).toBe("video");
    expect(await (await fetch(bucket.getPublicUrl(`${TASK}/thumb_a1.jpg`).data.publicUrl)).text()).toBe("thumbnail");
  });

  it("signs another name when a worker resumes its lease after a crash and its file stands already", async () => {
    const bucket = worker().storage.from("videos");
    const urls: string[] = [];
    for (const text of ["cut short", "whole"]) {
      const { body: signed } = await invoke(body({ filename: "resumed_a1.mp4" }));
      expect((await bucket.uploadToSignedUrl(signed.storage_path, signed.token, Buffer.from(text))).error).toBeNull();
      urls.push(bucket.getPublicUrl(signed.storage_path).data.publicUrl);
    }
    expect(await Promise.all(urls.map(async (url) => await (await fetch(url)).text()))).toEqual(["cut short", "whole"]);
    expect(urls[1]).toMatch(/resumed_a1-[0-9a-f]{8}\.mp4$/);
  });

  it("answers under both spellings, and makes a name for a thumbnail that has none", async () => {
    const answer = await invoke(
      body({ filename: "x.mp4", generate_thumbnail_url: true }),
      "right",
      "generate_upload_url",
    );
    expect(answer.body.thumbnail_storage_path).toBe(`${TASK}/thumb_x_a1.jpg`);
  });

  it("refuses a lease that is not open, with the reason, and an unknown worker, and signs nothing", async () => {
    expect(await invoke(body({ lease_token: randomUUID() }))).toEqual({
      status: 403,
      body: { error: "upload_not_allowed", message: "lease is not open" },
    });
    expect(await invoke(body(), "wrong")).toEqual({
      status: 403,
      body: { error: "forbidden", message: "worker token is unknown" },
    });
  });

  it.each([
    ["task_id", { task_id: "../other" }],
    ["lease_token", { lease_token: "any" }],
    ["filename", { filename: "../../up.mp4" }],
    ["filename", { filename: ".." }],
    ["filename", { filename: "" }],
    ["content_type", { content_type: 7 }],
    ["generate_thumbnail_url", { generate_thumbnail_url: "yes" }],
    ["thumbnail_filename", { generate_thumbnail_url: true, thumbnail_filename: "a/b.jpg" }],
    ["thumbnail_filename", { generate_thumbnail_url: true, thumbnail_filename: "task_a1.mp4" }],
    ["thumbnail_filename", { generate_thumbnail_url: true, thumbnail_filename: "task a1.mp4" }],
  ])("refuses a bad %s with 400 and names it: %j", async (field, more) => {
    const answer = await invoke(body(more));
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ error: "invalid_request", message: expect.stringContaining(field) });
  });

  it("answers as hosted Supabase does without a key, to an unreadable body and to a wrong method", async () => {
    const url = `${stack.gateway.url}/functions/v1/generate-upload-url`;
    expect((await fetch(url, { method: "POST", body: JSON.stringify(body()) })).status).toBe(403);
    const headers = { authorization: `Bearer ${stack.keys.anonKey}` };
    expect((await fetch(url, { method: "POST", headers, body: "not json" })).status).toBe(400);
    expect((await fetch(url, { method: "POST", headers })).status).toBe(400);
    expect((await fetch(url, { headers })).status).toBe(405);
  });

  it("answers 503 when the database does not answer whether the upload is allowed", async () => {
    const { url } = await stack.another({ postgrestUrl: "http://127.0.0.1:1" });
    const answer = await fetch(`${url}/functions/v1/generate-upload-url`, {
      method: "POST",
      headers: { apikey: stack.keys.anonKey, "content-type": "application/json" },
      body: JSON.stringify(body()),
    });
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({ error: "database_error" });
  });

  it("leaves no lease token and no key in the log", () => {
    expect(stack.log()).not.toContain(LEASE);
    for (const secret of Object.values(stack.keys)) {
      expect(stack.log()).not.toContain(secret);
    }
  });
});

describe("the host of functions", () => {
  let app: FastifyInstance;
  beforeAll(() => {
    app = Fastify();
    registerFunctions(app, {
      bodyBytes: 1024,
      functions: {
        "echo-back": async (request) =>
          new Response(await request.arrayBuffer(), {
            status: 201,
            headers: { "x-echo": `${request.method} ${new URL(request.url).search} ${request.headers.get("x-in")}` },
          }),
        broken: async () => {
          throw new Error("password=hunter2");
        },
      },
      context: () => ({}) as never,
      logger: pino({ level: "silent" }),
    });
  });
  afterAll(() => app.close());
  const headers = { apikey: "any" };

  it("passes method, query, headers and bytes to the handler, and returns its answer", async () => {
    const payload = Buffer.from([0, 255, 13, 10]);
    const answer = await app.inject({
      method: "PUT",
      url: "/functions/v1/echo_back?a=1",
      headers: { ...headers, "x-in": "yes", "content-type": "video/mp4" },
      payload,
    });
    expect(answer.statusCode).toBe(201);
    expect(answer.headers["x-echo"]).toBe("PUT ?a=1 yes");
    expect(answer.rawPayload.equals(payload)).toBe(true);
  });

  it("answers 404 for an unknown function, whatever its name", async () => {
    for (const name of ["absent", "constructor", "__proto__"]) {
      const answer = await app.inject({ method: "POST", url: `/functions/v1/${name}`, headers });
      expect(answer.statusCode).toBe(404);
      expect(answer.json()).toMatchObject({ error: "not_found" });
    }
  });

  it("answers 500 without the reason when a handler throws", async () => {
    const answer = await app.inject({ method: "POST", url: "/functions/v1/broken", headers });
    expect(answer.statusCode).toBe(500);
    expect(answer.json()).toMatchObject({ error: "internal_error", message: expect.stringContaining("broken") });
    expect(answer.body).not.toContain("hunter2");
  });
});
