import { randomUUID } from "node:crypto";
import { SignJWT } from "jose";
import { openQueueApi, type QueueApi } from "./queue-api.ts";

export interface Answer {
  status: number;
  // oxlint-disable-next-line typescript/no-explicit-any -- any JSON that an HTTP answer holds; tests match on it.
  body: any;
}

export interface Person {
  readonly userId: string;
  readonly jwt: string;
  /** A personal access token. */
  readonly token: string;
  readonly project: string;
}

export interface PeopleApi extends QueueApi {
  /** A user with one project and one personal access token. */
  newPerson(): Promise<Person>;
  /** One request to the gateway with this bearer token; null: without one. */
  ask(method: string, path: string, bearer: string | null, body?: unknown): Promise<Answer>;
  /** A POST to an edge function. */
  call(name: string, bearer: string | null, body: unknown, headers?: Record<string, string>): Promise<Answer>;
  signJwt(claims: Record<string, unknown>, secret?: string): Promise<string>;
}

export async function openPeopleApi(): Promise<PeopleApi> {
  const api = await openQueueApi();
  const signJwt = (claims: Record<string, unknown>, secret = api.keys.jwtSecret) =>
    new SignJWT({ exp: Math.floor(Date.now() / 1000) + 3600, ...claims })
      .setProtectedHeader({ alg: "HS256" })
      .sign(new TextEncoder().encode(secret));
  const request = async (method: string, path: string, headers: Record<string, string>, body: unknown) => {
    const response = await fetch(`${api.url}${path}`, {
      method,
      headers: { ...headers, ...(body !== undefined && { "content-type": "application/json" }) },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? null : JSON.parse(text) };
  };
  const authorization = (bearer: string | null): Record<string, string> =>
    bearer === null ? {} : { authorization: `Bearer ${bearer}` };
  return {
    ...api,
    signJwt,
    ask: (method, path, bearer, body) => request(method, path, authorization(bearer), body),
    call: (name, bearer, body, headers = {}) =>
      request("POST", `/functions/v1/${name}`, { ...authorization(bearer), ...headers }, body),
    async newPerson() {
      const userId = randomUUID();
      const project = await api.queue.newProject({ user_id: userId });
      const made = await api.queue.call<{ token: string }>("api_create_token", { p_label: "test", p_user_id: userId });
      return { userId, project, token: made.token, jwt: await signJwt({ role: "authenticated", sub: userId }) };
    },
  };
}
