import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import { Transform } from "node:stream";
import { Agent, request } from "undici";

export interface CountingProxy {
  readonly url: string;
  /** Bytes of the answers' bodies so far. Answers to GPU workers, known by their token header, do not count. */
  readBytes(): number;
  close(): Promise<void>;
}

/** A proxy before the database's API that counts the bytes read from it. */
export async function startCountingProxy(upstream: string): Promise<CountingProxy> {
  const dispatcher = new Agent({ connections: 32 });
  let bytes = 0;
  const server = createServer((incoming, reply) => {
    const { host: _host, connection: _connection, ...headers } = incoming.headers;
    const isPod = headers["x-worker-token"] !== undefined;
    const forward = async () => {
      const answer = await request(`${upstream}${incoming.url}`, {
        dispatcher,
        method: (incoming.method ?? "GET") as "GET",
        headers,
        body: incoming,
      });
      reply.writeHead(answer.statusCode, answer.headers);
      const count = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          if (!isPod) {
            bytes += chunk.length;
          }
          done(null, chunk);
        },
      });
      await pipeline(answer.body, count, reply);
    };
    forward().catch(() => incoming.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    readBytes: () => bytes,
    async close() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await dispatcher.destroy();
    },
  };
}
