import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GatewayStack, startGatewayStack } from "../../kit/gateway.ts";

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack(`
    create table public.notes (id int primary key, body text not null);
    alter table public.notes enable row level security;
    create function public.whoami() returns jsonb language sql stable as $$
      select jsonb_build_object('role', current_user,
        'worker_token', current_setting('request.headers', true)::jsonb ->> 'x-worker-token')
    $$;
    create function public.echo(apikey text) returns text language sql stable as $$ select apikey $$;
    grant all on public.notes to anon, authenticated, service_role;
    grant execute on function public.whoami(), public.echo(text) to anon, authenticated, service_role;
  `);
});
afterAll(() => stack?.close());

function rest(path: string, headers: Record<string, string> = {}) {
  return fetch(`${stack.gateway.url}/rest/v1/${path}`, { headers });
}

describe("/rest/v1 through an unchanged supabase-js client", () => {
  it("calls functions with the role of the key and forwards extra headers", async () => {
    const asAnon = await stack.client(stack.keys.anonKey, { "x-worker-token": "opaque" }).rpc("whoami");
    expect(asAnon).toMatchObject({ error: null, data: { role: "anon", worker_token: "opaque" } });

    const asService = await stack.client(stack.keys.serviceRoleKey).rpc("whoami");
    expect(asService.data).toEqual({ role: "service_role", worker_token: null });
  });

  it("accepts ten thousand rows of 1.5 kB in one insert, and answers at most a thousand", async () => {
    const client = stack.client(stack.keys.serviceRoleKey);
    const rows = Array.from({ length: 10_000 }, (_, id) => ({ id, body: "x".repeat(1500) }));

    expect((await client.from("notes").insert(rows)).error).toBeNull();
    expect((await client.from("notes").select("*", { count: "exact", head: true })).count).toBe(10_000);
    expect((await client.from("notes").select("id")).data).toHaveLength(1000);
  });

  it("shows anon no row and refuses its insert, by row-level security", async () => {
    const client = stack.client(stack.keys.anonKey);
    expect((await client.from("notes").select("id")).data).toEqual([]);
    expect((await client.from("notes").insert({ id: -1, body: "no" })).error).toMatchObject({ code: "42501" });
  });
});

describe("the key of a request to /rest/v1", () => {
  it("is required: without one the answer is hosted Supabase's 401", async () => {
    const answer = await rest("notes", { authorization: `Bearer ${stack.keys.serviceRoleKey}` });
    expect(answer.status).toBe(401);
    expect(await answer.json()).toEqual({
      message: "No API key found in request",
      hint: "No `apikey` request header or url param was found.",
    });
  });

  it("is refused with 401 when it is unknown, even if it is signed with the right secret", async () => {
    const forged = await new SignJWT({ role: "service_role" })
      .setProtectedHeader({ alg: "HS256" })
      .sign(new TextEncoder().encode(stack.keys.jwtSecret));
    for (const apikey of ["nonsense", forged]) {
      const answer = await rest("notes", { apikey });
      expect(answer.status).toBe(401);
      expect(await answer.json()).toMatchObject({ message: "Invalid API key" });
    }
  });

  it("replaces a missing Authorization header, from the header and from the query", async () => {
    const apikey = stack.keys.serviceRoleKey;
    expect(await (await rest("rpc/whoami", { apikey })).json()).toMatchObject({ role: "service_role" });
    expect(await (await rest(`rpc/whoami?apikey=${apikey}`)).json()).toMatchObject({ role: "service_role" });
    expect(await (await rest(`notes?select=id&apikey=${apikey}&id=eq.7`)).json()).toEqual([{ id: 7 }]);
  });

  it("is overridden by the Authorization header, which PostgREST verifies itself", async () => {
    const { anonKey, serviceRoleKey } = stack.keys;
    const asService = await rest("rpc/whoami", { apikey: anonKey, authorization: `Bearer ${serviceRoleKey}` });
    expect(await asService.json()).toMatchObject({ role: "service_role" });

    const [header, payload] = serviceRoleKey.split(".");
    const tampered = await rest("rpc/whoami", { apikey: anonKey, authorization: `Bearer ${header}.${payload}.AAAA` });
    expect(tampered.status).toBe(401);
    expect(await tampered.json()).toMatchObject({ code: "PGRST301" });
  });
});

describe("an opaque key of the project", () => {
  const who = async (headers: Record<string, string>) => await (await rest("rpc/whoami", headers)).json();

  it("has its role through supabase-js, as the only header, and repeated as bearer", async () => {
    const { publishableKey, secretKey } = stack.keys;
    for (const [key, role] of [
      [publishableKey, "anon"],
      [secretKey, "service_role"],
    ] as const) {
      expect((await stack.client(key).rpc("whoami")).data).toMatchObject({ role });
      expect(await who({ apikey: key })).toMatchObject({ role });
      expect(await who({ apikey: key, authorization: `Bearer ${key}` })).toMatchObject({ role });
      expect(await (await rest(`rpc/whoami?apikey=${key}`)).json()).toMatchObject({ role });
    }
  });

  it("is overridden by a JWT as bearer", async () => {
    const { publishableKey, secretKey, anonKey, serviceRoleKey } = stack.keys;
    const service = { apikey: publishableKey, authorization: `Bearer ${serviceRoleKey}` };
    expect(await who(service)).toMatchObject({ role: "service_role" });
    expect(await who({ apikey: secretKey, authorization: `Bearer ${anonKey}` })).toMatchObject({ role: "anon" });
  });

  it("is refused with 401 when it is another project's, and as a bearer beside another key", async () => {
    const { publishableKey, secretKey, anonKey } = stack.keys;
    const foreign = "sb_secret_of_another_project";
    for (const headers of [
      { apikey: foreign },
      { apikey: foreign, authorization: `Bearer ${foreign}` },
      { apikey: publishableKey, authorization: `Bearer ${foreign}` },
      { apikey: publishableKey, authorization: `Bearer ${secretKey}` },
      { apikey: anonKey, authorization: `Bearer ${secretKey}` },
    ]) {
      const answer = await rest("rpc/whoami", headers);
      expect({ headers, status: answer.status }).toEqual({ headers, status: 401 });
      expect(await answer.json()).toMatchObject({ message: "Invalid API key" });
    }
  });

  it("gives access to storage to the service role only", async () => {
    const put = (key: string) =>
      stack.client(key).storage.from("videos").upload("opaque/x.txt", Buffer.from("x"), { upsert: true });
    expect((await put(stack.keys.secretKey)).error).toBeNull();
    for (const key of [stack.keys.publishableKey, "sb_secret_of_another_project"]) {
      expect((await put(key)).error).not.toBeNull();
    }
  });
});

it("A browser of any origin may send any header, and needs no key for its preflight", async () => {
  const preflight = await fetch(`${stack.gateway.url}/rest/v1/notes`, {
    method: "OPTIONS",
    headers: {
      origin: "https://app.example",
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,apikey,x-worker-token",
    },
  });
  expect(preflight.ok).toBe(true);
  expect(preflight.headers.get("access-control-allow-origin")).toBe("*");
  expect(preflight.headers.get("access-control-allow-headers")).toBe("authorization,apikey,x-worker-token");

  const refused = await rest("notes", { origin: "https://app.example" });
  expect(refused.status).toBe(401);
  expect(refused.headers.get("access-control-allow-origin")).toBe("*");
});

it("The answer is 503 with the reason while PostgREST is down, for a read and for a write", async () => {
  const { url } = await stack.another({ postgrestUrl: "http://127.0.0.1:1" });
  for (const method of ["GET", "POST"]) {
    const answer = await fetch(`${url}/rest/v1/notes`, {
      method,
      headers: { apikey: stack.keys.serviceRoleKey, "content-type": "application/json" },
      ...(method === "POST" && { body: "[]" }),
    });
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({
      message: expect.stringContaining("PostgREST"),
      hint: expect.stringContaining("Try again"),
    });
  }
});

it("A body of 19 MB reaches PostgREST complete, because it is streamed", async () => {
  let received = 0;
  const upstream = createServer((request, answer) => {
    request.on("data", (chunk: Buffer) => (received += chunk.length));
    request.on("end", () => answer.writeHead(201).end());
  });
  await once(upstream.listen(0, "127.0.0.1"), "listening");
  try {
    const { port } = upstream.address() as AddressInfo;
    const { url } = await stack.another({ postgrestUrl: `http://127.0.0.1:${port}` });
    const answer = await fetch(`${url}/rest/v1/notes`, {
      method: "POST",
      headers: { apikey: stack.keys.anonKey, "content-type": "application/json" },
      body: Buffer.alloc(19 * 1024 * 1024, " "),
    });
    expect(answer.status).toBe(201);
    expect(received).toBe(19 * 1024 * 1024);
  } finally {
    upstream.closeAllConnections();
    upstream.close();
  }
});

it("An unknown route is a 404 that names the routes that are served", async () => {
  const answer = await fetch(`${stack.gateway.url}/realtime/v1/websocket`);
  expect(answer.status).toBe(404);
  expect(await answer.json()).toMatchObject({ error: "not_found", message: expect.stringContaining("/rest/v1") });
});

it("A gateway whose port is taken fails to start and names the port", async () => {
  const port = Number(new URL(stack.gateway.url).port);
  await expect(stack.another({ port })).rejects.toThrow(String(port));
});

it("No line of the log holds a key or a secret", () => {
  for (const secret of Object.values(stack.keys)) {
    expect(stack.log()).not.toContain(secret);
  }
});
