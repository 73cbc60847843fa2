import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../src/dev/servers/free-port.ts";
import { startTestStack, type TestStack } from "../kit/stack.ts";

/** The time that our files give a process to end. */
const GRACE_MS = 40_000;

interface Way {
  readonly port: number;
  /** From now on nobody listens, or nothing is passed on any more. */
  break(how: "refused" | "silent"): void;
}

/** Passes bytes on to a server of this machine. */
async function wayTo(target: URL): Promise<Way> {
  const sockets = new Set<Socket>();
  let silent = false;
  const server = createServer((near) => {
    sockets.add(near.on("error", () => undefined));
    if (!silent) {
      const far = connect(Number(target.port), target.hostname).on("error", () => undefined);
      sockets.add(far);
      near.pipe(far).pipe(near);
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    break(how) {
      silent = how === "silent";
      if (!silent) {
        server.close();
      }
      sockets.forEach((socket) => (silent ? socket.unpipe().pause() : socket.destroy()));
    },
  };
}

describe("a Temporal worker process that is told to stop", () => {
  let stack: TestStack;
  beforeAll(async () => {
    stack = await startTestStack();
    await stack.startPool();
  });
  afterAll(() => stack?.close());

  it.each(["refused", "silent"] as const)(
    "ends within its grace with code 0 while all services are %s",
    async (how) => {
      const temporal = await wayTo(new URL(`http://${stack.env["TEMPORAL_ADDRESS"]}`));
      const database = await wayTo(new URL(stack.env["SUPABASE_URL"] ?? ""));
      const health = await freePort();
      const temporalWorker = stack.startTemporalWorker(undefined, {
        TEMPORAL_ADDRESS: `127.0.0.1:${temporal.port}`,
        SUPABASE_URL: `http://127.0.0.1:${database.port}`,
        HEALTH_PORT: String(health),
      });
      const isReady = () =>
        fetch(`http://127.0.0.1:${health}/readyz`).then(
          ({ ok }) => ok,
          () => false,
        );
      await expect.poll(isReady).toBe(true);
      [temporal, database].forEach((way) => way.break(how));
      const beganMs = Date.now();
      process.kill(temporalWorker.pid, "SIGTERM");
      const { code } = await temporalWorker.exited;
      expect(code).toBe(0);
      expect(Date.now() - beganMs).toBeLessThan(GRACE_MS);
    },
  );
});
