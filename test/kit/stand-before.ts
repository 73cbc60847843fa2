import { once } from "node:events";
import { createServer, type Server } from "node:http";

/** Answers a request by this status; null: the project answers. */
export type Answer = (path: string, headers: NodeJS.Dict<string | string[]>) => number | null;

/** A server before the project at `api`, on a free port, which answers some of the requests itself. */
export async function standBefore(api: string, answer: Answer): Promise<Server> {
  const server = createServer((request, response) => {
    const path = request.url ?? "/";
    const status = answer(path, request.headers);
    if (status !== null) {
      response.writeHead(status).end();
      return;
    }
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const {
        host: _host,
        connection: _connection,
        "content-length": _length,
        ...headers
      } = request.headers as Record<string, string>;
      const body = chunks.length > 0 ? { body: Buffer.concat(chunks) } : {};
      const forward = async () => {
        const real = await fetch(`${api}${path}`, { method: request.method ?? "GET", headers, ...body });
        const type = real.headers.get("content-type") ?? "application/json";
        response.writeHead(real.status, { "content-type": type }).end(Buffer.from(await real.arrayBuffer()));
      };
      forward().catch(() => request.destroy());
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return server;
}
