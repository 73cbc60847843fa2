import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { connectDatabase } from "../../../src/supabase/client.ts";
import { DatabaseError } from "../../../src/supabase/database-error.ts";
import { fleetStore } from "../../../src/supabase/fleet/fleet-store.ts";
import { taskStore } from "../../../src/supabase/task-store.ts";

describe("the stores of the database when it does not answer well", () => {
  let server: Server | undefined;
  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });

  const listen = async (listener: RequestListener) => {
    server = createServer(listener);
    await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const database = connectDatabase({ url: `http://127.0.0.1:${port}`, serviceRoleKey: "a-key" });
    return { ...taskStore(database), ...fleetStore(database) };
  };
  /** Answers in turn, the last one again and again; counts the requests. */
  const answering = async (...answers: readonly (readonly [number, unknown])[]) => {
    const seen: string[] = [];
    const operations = await listen((request, response) => {
      const [status, body] = answers[Math.min(seen.length, answers.length - 1)]!;
      seen.push(`${request.method} ${request.url}`);
      response.writeHead(status, { "content-type": "application/json" });
      response.end(JSON.stringify(body));
    });
    return { operations, seen };
  };
  const problem = (message: string) => ({ code: "XX000", message, details: null, hint: null });
  const thrown = (promise: Promise<unknown>) =>
    promise.then(() => null).catch((error: unknown) => error as DatabaseError);

  it("a read is tried again when the service cannot work now, and answers what came at last", async () => {
    const { operations, seen } = await answering([502, problem("bad gateway")], [429, problem("slow down")], [200, []]);
    expect(await operations.getWorkers()).toEqual([]);
    expect(seen).toHaveLength(3);
  });

  it("a read that keeps failing is an error that names the operation, never an empty list", async () => {
    const { operations, seen } = await answering([504, problem("upstream is gone")]);
    const error = await thrown(operations.getTasks());
    expect(error).toBeInstanceOf(DatabaseError);
    expect(error?.message).toBe("database: getTasks failed (HTTP 504, XX000): upstream is gone");
    expect(seen).toHaveLength(3);
  });

  it("a read that no answer comes to is tried three times, and no more often by supabase-js itself", async () => {
    let requests = 0;
    const operations = await listen((request) => {
      requests += 1;
      request.socket.destroy();
    });
    expect(await thrown(operations.getWorkers())).toMatchObject({ status: 0, operation: "getWorkers" });
    expect(requests).toBe(3);
  });

  it("a read that is refused is not tried again", async () => {
    const { operations, seen } = await answering([401, problem("JWT expired")]);
    expect(await thrown(operations.countAvailableTasks())).toMatchObject({
      status: 401,
      operation: "countAvailableTasks",
    });
    expect(seen).toHaveLength(1);
  });

  it.each([
    ["claimTask", (o: Awaited<ReturnType<typeof listen>>) => o.claimTask("w")],
    ["markTaskComplete", (o: Awaited<ReturnType<typeof listen>>) => o.markTaskComplete("t", {})],
    ["markTaskFailed", (o: Awaited<ReturnType<typeof listen>>) => o.markTaskFailed("t", "e")],
    ["createWorkerRecord", (o: Awaited<ReturnType<typeof listen>>) => o.createWorkerRecord("w", "RTX 4090")],
    ["updateWorkerStatus", (o: Awaited<ReturnType<typeof listen>>) => o.updateWorkerStatus("w", "active")],
    ["resetOrphanedTasks", (o: Awaited<ReturnType<typeof listen>>) => o.resetOrphanedTasks(["w"])],
  ])("%s is a write and is sent once: an unanswered one may have happened", async (_, write) => {
    const { operations, seen } = await answering([503, problem("overloaded")]);
    expect(await thrown(write(operations))).toMatchObject({ name: "DatabaseError", status: 503 });
    expect(seen).toHaveLength(1);
  });

  it("a list whose second page fails is an error, not the first page", async () => {
    const page = Array.from({ length: 1_000 }, (_, n) => ({ id: `w${n}` }));
    const { operations, seen } = await answering([200, page], [400, problem("no")]);
    expect(await thrown(operations.getWorkers())).toMatchObject({ status: 400, operation: "getWorkers" });
    expect(seen).toHaveLength(2);
  });

  it("an answer of another shape is an error that says so", async () => {
    const { operations } = await answering([200, { totals: {} }]);
    expect((await thrown(operations.countAvailableTasks("gpu")))?.message).toMatch(
      /countAvailableTasks.*unexpected answer/s,
    );
  });
});
