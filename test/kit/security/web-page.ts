import { type Agent, request } from "node:http";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface Sent {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Default: a connection of its own. */
  readonly agent?: Agent;
}

/** A request whose `Host` and `Origin` are free, as a browser sends them for a page. fetch would set its own. */
export function send(url: string, { method = "GET", headers = {}, body = "", agent }: Sent = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = body === "" ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const sent = request(url, { method, headers: { ...length, ...headers }, agent: agent ?? false }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.once("error", reject);
      response.once("end", () => {
        const { statusCode: status = 0, headers: got } = response;
        resolve({ status, headers: got, body: Buffer.concat(chunks).toString() });
      });
    });
    sent.once("error", reject);
    sent.end(body);
  });
}

/** The headers with which the requests of a hostile page arrive at a server of this machine. */
export const HOSTILE_PAGES: Readonly<Record<string, (port: string) => Record<string, string>>> = {
  "a page of another site": () => ({ origin: "https://evil.example" }),
  "a page in a sandbox": () => ({ origin: "null" }),
  "a page of another server of this machine": () => ({ origin: "http://127.0.0.1:1" }),
  "a name that resolves to 127.0.0.1": (port) => ({
    host: `evil.example:${port}`,
    origin: `http://evil.example:${port}`,
  }),
  "such a name without Origin": (port) => ({ host: `evil.example:${port}` }),
  "a name that begins like ours": (port) => ({ host: `127.0.0.1.evil.example:${port}` }),
  "a name that ends like ours": (port) => ({ host: `evil-localhost:${port}` }),
};
