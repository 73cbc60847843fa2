/** The part of a supabase-js answer that the functions use. */
export interface ClientAnswer<Data> {
  readonly data: Data | null;
  /** HTTP status; 0 or absent when there was no answer. */
  readonly status?: number;
  readonly error: {
    readonly message: string;
    readonly code?: string | undefined;
    readonly statusCode?: string | undefined;
    readonly details?: string | null | undefined;
    readonly hint?: string | null | undefined;
  } | null;
}

/** The part of a supabase-js client that the functions use. */
export interface FunctionClient {
  rpc(name: string, args: Record<string, unknown>): PromiseLike<ClientAnswer<unknown>>;
  readonly storage: {
    from(bucket: string): {
      createSignedUploadUrl(path: string): Promise<ClientAnswer<{ signedUrl: string; token: string; path: string }>>;
      upload(
        path: string,
        body: Uint8Array<ArrayBuffer>,
        options: { upsert: boolean; contentType: string },
      ): Promise<ClientAnswer<unknown>>;
      getPublicUrl(path: string): { data: { publicUrl: string } };
    };
  };
}

/** The host gives it to a function, which uses no globals and no environment and so runs on Deno and on Node. */
export interface FunctionContext {
  readonly videoBucket: string;
  /** A client with the public key and these extra headers, by which the database checks the caller's permissions. */
  asCaller(headers: Record<string, string>): FunctionClient;
  /** A client with the service key, which may read and write every row. */
  asService(): FunctionClient;
  /** A request to the database's API, `path` below `/rest/v1`, with the public key and these headers. */
  rest(method: string, path: string, headers: Record<string, string>, body?: string): Promise<Response>;
}

/**
 * One request to the API of a project's database. Headers in `headers` come before those of the public key. The answer
 * is PostgREST's own; it throws when there is none.
 */
export async function restRequest(
  supabaseUrl: string,
  publicKey: string,
  method: string,
  path: string,
  headers: Record<string, string>,
  body?: string,
): Promise<Response> {
  const answer = await fetch(`${supabaseUrl}/rest/v1/${path}`, {
    method,
    headers: { apikey: publicKey, "content-type": "application/json", ...headers },
    ...(body !== undefined && { body }),
  });
  const kept = ["content-type", "content-range"].flatMap((name) => {
    const value = answer.headers.get(name);
    return value === null ? [] : [[name, value] as [string, string]];
  });
  return new Response(answer.body, { status: answer.status, headers: kept });
}

export type FunctionHandler = (request: Request, context: FunctionContext) => Promise<Response>;

/** A refusal in the shape that all functions for workers share: `error` for programs, `message` for people. */
export function refusal(status: number, error: string, message: string, field?: string): Response {
  return Response.json({ error, message, ...(field !== undefined && { field }) }, { status });
}

const OPAQUE_KEY = /^sb_(?:secret|publishable)_/;
/** The tokens that this database makes. One of an adopted table may look like anything. */
const PERSONAL_TOKEN = /^gpp_/;
const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/**
 * The headers by which the database identifies a caller. An opaque key of the project is also sent as `apikey`, because
 * the gateway derives a role from that header only. Any other bearer that is no JWT is a personal access token or a
 * worker's token. It is sent in the headers of both, because PostgREST would refuse it as a broken JWT. An `apikey`
 * without `Authorization` counts as bearer.
 */
export function callerHeaders(request: Request): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const name of ["x-worker-token", "x-api-token"]) {
    const value = request.headers.get(name);
    if (value !== null) {
      headers[name] = value;
    }
  }
  const bearer = (request.headers.get("authorization") ?? request.headers.get("apikey") ?? "").replace(
    /^Bearer\s+/i,
    "",
  );
  if (OPAQUE_KEY.test(bearer)) {
    headers["apikey"] = bearer;
    headers["Authorization"] = `Bearer ${bearer}`;
  } else if (JWT.test(bearer)) {
    headers["Authorization"] = `Bearer ${bearer}`;
  } else if (bearer !== "") {
    headers["x-api-token"] ??= bearer;
    if (!PERSONAL_TOKEN.test(bearer)) {
      headers["x-worker-token"] ??= bearer;
    }
  }
  return headers;
}
