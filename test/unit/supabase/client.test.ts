import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { connectDatabase } from "../../../src/supabase/client.ts";

const KEY = "the-service-role-key-0123456789";

describe("a call to a database function", () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });

  const listen = async (listener: RequestListener) => {
    server = createServer(listener);
    await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    return connectDatabase({ url: `http://127.0.0.1:${port}`, serviceRoleKey: KEY });
  };
  const answering = (status: number, body: unknown) =>
    listen((_, response) => {
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    });

  it("sends its arguments by name and answers what the shape makes of the answer", async () => {
    const seen: { url?: string | undefined; key?: unknown; body: string } = { body: "" };
    const database = await listen((request, response) => {
      seen.url = request.url;
      seen.key = request.headers["apikey"];
      request.on("data", (chunk: Buffer) => (seen.body += chunk.toString()));
      request.on("end", () => {
        response.writeHead(200, { "content-type": "application/json" });
        response.end('{"n": 7}');
      });
    });
    const shape = z.object({ n: z.number() }).transform(({ n }) => n * 2);
    expect(await database.call("count_them", { p_pool: "main" }, shape)).toBe(14);
    expect(seen).toEqual({ url: "/rest/v1/rpc/count_them", key: KEY, body: '{"p_pool":"main"}' });
  });

  it("takes an answer without content for null", async () => {
    const database = await listen((_, response) => response.writeHead(204).end());
    expect(await database.call("note", {}, z.null())).toBeNull();
  });

  it("that is refused says which, how, why and what to do, and holds no key", async () => {
    const problem = { code: "PT404", message: "pool x does not exist", hint: "Start it.", details: null };
    const database = await answering(404, problem);
    const error = await database.call("pool_observe", { p_pool: "x" }, z.unknown()).catch((e: unknown) => e);
    expect(error).toMatchObject({
      name: "DatabaseError",
      operation: "pool_observe",
      status: 404,
      code: "PT404",
      message: "database: pool_observe failed (HTTP 404, PT404): pool x does not exist. Start it.",
    });
    expect(`${JSON.stringify(error)} ${String(error)}`).not.toContain(KEY);
  });

  it("invariant 3: to which no answer comes is an error of status 0, not an empty answer", async () => {
    const database = await listen((request) => request.socket.destroy());
    const error = await database.call("pool_observe", {}, z.unknown().nullable()).catch((e: unknown) => e);
    expect(error).toMatchObject({ name: "DatabaseError", status: 0 });
    expect(String(error)).toContain("pool_observe failed (no answer");
    expect(`${JSON.stringify(error)} ${String(error)}`).not.toContain(KEY);
  });

  it("invariant 3: that is not answered within fifteen seconds is given up, and its request ends", async () => {
    const deadline = vi.spyOn(AbortSignal, "timeout").mockImplementation(() => AbortSignal.abort(new Error("late")));
    const database = await listen(() => undefined);
    const error = await database.call("pool_observe", {}, z.unknown()).catch((e: unknown) => e);
    expect(deadline).toHaveBeenCalledExactlyOnceWith(10_000);
    expect(error).toMatchObject({ name: "DatabaseError", status: 0 });
    deadline.mockRestore();
  });

  it("invariant 3: whose answer has another shape is an error that names the field", async () => {
    const database = await answering(200, { queued: "many" });
    const error = await database.call("pool_observe", {}, z.object({ queued: z.number() })).catch((e: unknown) => e);
    expect(error).toMatchObject({ name: "DatabaseError", status: 200 });
    expect(String(error)).toMatch(/pool_observe failed \(HTTP 200\): unexpected answer.*queued/s);
  });

  it("that meets a proxy's page instead of the database says the status", async () => {
    const database = await listen((_, response) => {
      response.writeHead(502, { "content-type": "text/html" });
      response.end("<h1>Bad Gateway</h1>");
    });
    await expect(database.call("pool_observe", {}, z.unknown())).rejects.toMatchObject({
      name: "DatabaseError",
      operation: "pool_observe",
      status: 502,
    });
  });
});
