import { randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { type Database, connectDatabase } from "../../../src/supabase/client.ts";
import { DatabaseError, isFinal } from "../../../src/supabase/database-error.ts";
import { fleetStore } from "../../../src/supabase/fleet/fleet-store.ts";
import { notificationStore } from "../../../src/supabase/notification-store.ts";
import { taskStore } from "../../../src/supabase/task-store.ts";

describe("what is sent to the database", () => {
  let server: Server | undefined;
  const bodies: string[] = [];
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
    bodies.length = 0;
  });

  async function listen(): Promise<Database> {
    server = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () => {
        bodies.push(body);
        response
          .writeHead(200, { "content-type": "application/json" })
          .end('[{"id":"x","status":"error","secret":"s"}]');
      });
    });
    await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    return connectDatabase({ url: `http://127.0.0.1:${port}`, serviceRoleKey: "key" });
  }

  it("invariant 16: is storable through every call and every write to a table", async () => {
    const database = await listen();
    const odd = "\0 \ud83c🎬";
    await database.call("note", { p_reason: odd }, z.unknown());
    await taskStore(database).submit([{ id: randomUUID(), task_type: "t", params: { prompt: odd } }]);
    await fleetStore(database).createWorkerRecord("w", odd);
    await fleetStore(database).markWorkerError("w", odd);
    await notificationStore(database).addEndpoint({ url: odd, kinds: [] });
    expect(bodies).toHaveLength(5);
    for (const body of bodies) {
      expect(body).toContain("\ufffd \ufffd🎬");
      expect(body).not.toMatch(/\\u(?:0000|d8)/);
    }
  });

  it("is refused before it is sent when it is nested too deeply, with the field's name, and for good", async () => {
    const database = await listen();
    const params = JSON.parse(`${"[".repeat(20_000)}${"]".repeat(20_000)}`) as [];
    const refusals = [
      database.call("note", { p_details: params }, z.unknown()),
      taskStore(database).submit([{ id: randomUUID(), task_type: "t", params: { deep: params } }]),
    ];
    for (const [index, field] of ["p_details.0", "0.params"].entries()) {
      const error = await refusals[index]!.catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ name: "DatabaseError", status: 400, message: expect.stringContaining(field) });
      expect(isFinal(error)).toBe(true);
    }
    expect(bodies).toEqual([]);
  });
});

describe("a refusal", () => {
  it.each([
    "PGRST102",
    "22P02",
    "22P05",
    "22003",
    "22021",
    "23502",
    "23514",
    "54001",
    "PT400",
    "PT403",
    "PT409",
    "PT413",
  ])("of code %s is final: the same request would be refused again", (code) => {
    expect(isFinal(new DatabaseError("call", 400, code, "no", null))).toBe(true);
  });

  it.each([
    ["no answer", 0, ""],
    ["a page of a proxy", 502, ""],
    ["a proxy's 400", 400, ""],
    ["a key that is rotated", 401, "PGRST301"],
    ["a key that is rotated", 401, "PT401"],
    ["a row that is not there yet", 404, "PT404"],
    ["a row that is not there yet", 409, "23503"],
    ["a schema that is behind", 404, "PGRST202"],
    ["a schema that is behind", 404, "42P01"],
    ["a schema that is behind", 400, "42703"],
    ["a function of ours that waits", 408, "PT408"],
    ["a conflict with another transaction", 409, "40001"],
    ["a conflict with another row", 409, "23505"],
    ["an overload", 429, "PT429"],
    ["an overload", 503, "53300"],
    ["a statement's time limit", 500, "57014"],
    ["a server that is stopped", 503, "57P01"],
    ["PostgREST without a database", 503, "PGRST002"],
  ])("because of %s may pass by itself: %d %s", (_why, status, code) => {
    expect(isFinal(new DatabaseError("call", status, code, "no", null))).toBe(false);
  });

  it("is an error of the database", () => {
    expect(isFinal(new Error("PT400"))).toBe(false);
  });
});
