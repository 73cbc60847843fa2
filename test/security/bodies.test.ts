import { once } from "node:events";
import { Agent, type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { SignJWT } from "jose";
import { type GatewayStack, startGatewayStack } from "../kit/gateway.ts";
import { send as sendText } from "../kit/security/web-page.ts";

const MB = 1024 * 1024;
const DOORS = ["/rest/v1/notes", "/functions/v1/create-task", "/api/tasks"];

const SCHEMA = `
  create table public.notes (id int);
  grant all on public.notes to service_role;
  create function public.echo(p_value jsonb) returns integer language sql as 'select pg_column_size(p_value)';
  create function public.wait_for_door() returns text language sql as $$ select 'in' from pg_advisory_xact_lock_shared(7) $$;
  grant execute on function public.echo(jsonb), public.wait_for_door() to anon, authenticated;
  alter role authenticated set statement_timeout = '10min';
`;

let stack: GatewayStack;
beforeAll(async () => {
  stack = await startGatewayStack(SCHEMA);
});
afterAll(() => stack?.close());

describe("a body that holds up the gateway", () => {
  let hasty: string;
  beforeAll(async () => {
    hasty = (await stack.another({ limits: { bodyTimeoutSec: 0.2 } })).url;
  });

  /** Sends the chunks; without `ends` the body is never finished. */
  async function send(url: string, chunks: Iterable<Buffer>, options: { ends: boolean; length?: number }) {
    const { serviceRoleKey } = stack.keys;
    const headers = {
      apikey: serviceRoleKey,
      authorization: `Bearer ${serviceRoleKey}`,
      "content-type": "application/json",
    };
    const length = options.length === undefined ? {} : { "content-length": options.length };
    const sent = request(url, { method: "POST", headers: { ...headers, ...length } });
    // The gateway closes the connection before it has read all.
    sent.on("error", () => undefined);
    const answered = once(sent, "response") as Promise<[IncomingMessage]>;
    sent.flushHeaders();
    for (const chunk of chunks) {
      sent.write(chunk);
    }
    if (options.ends) {
      sent.end();
    }
    const [response] = await answered;
    const body = await text(response);
    sent.destroy();
    return { status: response.statusCode, body };
  }

  it.each(DOORS)("%s refuses one that says how large it is, before it is sent", async (door) => {
    const answer = await send(stack.gateway.url + door, [], { ends: false, length: 200 * MB });
    expect(answer).toEqual({ status: 413, body: expect.stringContaining("is larger than") as string });
  });

  it.each(DOORS)("%s refuses one that does not say so, as soon as it is too large", async (door) => {
    const chunks = Array.from({ length: 24 }, () => Buffer.alloc(MB, " "));
    const answer = await send(stack.gateway.url + door, chunks, { ends: false });
    expect(answer).toEqual({ status: 413, body: expect.stringContaining("is larger than") as string });
  });

  it.each(DOORS)("%s ends one that does not arrive, and goes on serving others", async (door) => {
    const answer = await send(hasty + door, [Buffer.from("[")], { ends: false });
    expect(answer).toEqual({ status: 408, body: expect.stringContaining("did not arrive within 200 ms") as string });
    const other = await send(stack.gateway.url + DOORS[0]!, [Buffer.from('[{"id": 1}]')], { ends: true });
    expect(other.status).toBe(201);
  });

  it("leaves its connection to the next request, where the answer came before all of it was read", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const url = `${stack.gateway.url}/rest/v1/notes`;
    const headers = {
      apikey: stack.keys.anonKey,
      authorization: "Bearer no-token",
      "content-type": "application/json",
    };
    for (let round = 0; round < 5; round += 1) {
      const early = await sendText(url, { method: "POST", headers, body: `[${" ".repeat(4 * MB)}]`, agent });
      // PostgREST may close its connection before the gateway has read the refusal.
      expect([401, 503]).toContain(early.status);
      expect((await sendText(`${stack.gateway.url}/healthz`, { agent })).status).toBe(200);
    }
    agent.destroy();
  });

  const names = Array.from({ length: 20_000 }, (_, index) => `k${index}`);
  const object = Object.fromEntries(names.map((name) => [name, 0]));
  const call = (path: string, type: string, body: string) =>
    sendText(`${stack.gateway.url}/rest/v1${path}`, {
      method: "POST",
      headers: { apikey: stack.keys.anonKey, "content-type": type },
      body,
    });
  it.each([
    ["/rpc/echo", "application/json", JSON.stringify(object)],
    ["/rpc/nothing", "application/json", JSON.stringify({ ["k".repeat(100_000)]: 0 })],
    ["//rpc//echo", "text/plain", JSON.stringify([object])],
    ["/%72pc/echo", "application/json", ` {"p_value": {"a": ["\\"{"]}, ${JSON.stringify(object).slice(1)}`],
    ["/rpc/echo", "application/x-www-form-urlencoded", names.join("=0&")],
    ["/rpc/echo", "text/csv", `${names.join(",")}\n`],
  ])("of %s as %s has no thousands of arguments, over which PostgREST would think for a minute", async (...sent) => {
    expect(await call(...sent)).toMatchObject({
      status: 400,
      body: expect.stringContaining("names of the arguments") as string,
    });
  });

  it.each(DOORS.slice(1))(
    "for %s has no hundred thousands of keys, which would hold up everybody for seconds",
    async (door) => {
      const sent = (count: number) =>
        sendText(stack.gateway.url + door, {
          method: "POST",
          headers: { apikey: stack.keys.anonKey, "content-type": "application/json" },
          body: JSON.stringify(Object.fromEntries(names.slice(0, count).map((name) => [name, object]))),
        });
      const refused = await sent(10);
      expect([refused.status, refused.body]).toEqual([400, expect.stringContaining("keys and elements")]);
      expect((await sent(1)).body).not.toContain("keys and elements");
    },
  );

  it("has as many names and texts as it likes within an argument", async () => {
    const value = { object, list: [object], text: '{"":[,'.repeat(10_000), [`"\\`.repeat(5_000)]: null };
    expect((await call("/rpc/echo", "application/json", JSON.stringify({ p_value: value }))).status).toBe(200);
  });
});

describe("calls that hold up the gateway", () => {
  const tokenOf = (user: string) =>
    new SignJWT({ role: "authenticated", sub: user })
      .setProtectedHeader({ alg: "HS256" })
      .setExpirationTime("1h")
      .sign(new TextEncoder().encode(stack.keys.jwtSecret));
  const call = (token: string, path: string, more: Readonly<Record<string, string>> = {}) => {
    const headers = { apikey: stack.keys.anonKey, authorization: `Bearer ${token}`, ...more };
    return sendText(`${stack.gateway.url}/rest/v1/rpc/${path}`, { headers });
  };

  it.each(["the same", "each another"])("leave connections to others, and %s token beside their own", async (kind) => {
    const door = await stack.database.connect();
    await door.query("select pg_advisory_lock(7)");
    let answered = 0;
    const greedy = await tokenOf("greedy");
    const held = Array.from({ length: 40 }, async (_, index) => {
      const more = { "x-worker-token": kind === "the same" ? "t" : `t${index}` };
      const answer = await call(greedy, "wait_for_door", more);
      answered += 1;
      return answer.status;
    });
    const waiting = "select count(*)::int as count from pg_locks where locktype = 'advisory' and not granted";
    await expect.poll(async () => (await stack.database.query(waiting)).rows[0].count).toBeGreaterThan(7);
    const quick = await call(await tokenOf("other"), 'echo?p_value={"a":1}');
    expect({ status: quick.status, answered }).toEqual({ status: 200, answered: 0 });
    await door.query("select pg_advisory_unlock(7)");
    door.release();
    expect(new Set(await Promise.all(held))).toEqual(new Set([200]));
  });

  it("are refused when too many of one credential wait", async () => {
    const door = await stack.database.connect();
    await door.query("select pg_advisory_lock(7)");
    const greedy = await tokenOf("greedy");
    const held = Array.from({ length: 280 }, async () => (await call(greedy, "wait_for_door")).status);
    let refused = 0;
    held.forEach((status) => void status.then((each) => (refused += each === 429 ? 1 : 0)));
    await expect.poll(() => refused).toBe(280 - 8 - 256);
    await door.query("select pg_advisory_unlock(7)");
    door.release();
    expect((await Promise.all(held)).filter((status) => status === 200).length).toBe(8 + 256);
  });
});
