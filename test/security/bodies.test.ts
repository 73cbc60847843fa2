import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type GatewayStack, startGatewayStack } from "../kit/gateway.ts";

const MB = 1024 * 1024;
const DOORS = ["/rest/v1/notes", "/functions/v1/create-task", "/api/tasks"];

describe("a body that holds up the gateway", () => {
  let stack: GatewayStack;
  let hasty: string;
  beforeAll(async () => {
    stack = await startGatewayStack("create table public.notes (id int); grant all on public.notes to service_role;");
    hasty = (await stack.another({ bodyTimeoutMs: 200 })).url;
  });
  afterAll(() => stack?.close());

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
});
