/** What a call of supabase-js answers, as far as the functions look at it. */
export interface ClientAnswer<Data> {
  data: Data | null;
  /** Of the HTTP answer; 0 or absent: none came. */
  status?: number;
  error: {
    message: string;
    code?: string | undefined;
    statusCode?: string | undefined;
    details?: string | null | undefined;
    hint?: string | null | undefined;
  } | null;
}

/** The part of a supabase-js client that the functions use. */
export interface FunctionClient {
  rpc(name: string, args: Record<string, unknown>): PromiseLike<ClientAnswer<unknown>>;
  from(table: string): {
    select(columns: string): { match(wanted: Record<string, unknown>): PromiseLike<ClientAnswer<unknown[]>> };
  };
  storage: {
    from(bucket: string): {
      createSignedUploadUrl(
        path: string,
        options?: { upsert: boolean },
      ): Promise<ClientAnswer<{ signedUrl: string; token: string; path: string }>>;
      upload(
        path: string,
        body: Uint8Array<ArrayBuffer>,
        options: { upsert: boolean; contentType: string },
      ): Promise<ClientAnswer<unknown>>;
      getPublicUrl(path: string): { data: { publicUrl: string } };
    };
  };
}

/** What the host of a function hands to it: no globals, no environment, so that Deno and Node run the same code. */
export interface FunctionContext {
  videoBucket: string;
  /** A client with the public key and the given extra headers: the database judges the caller. */
  asCaller(headers: Record<string, string>): FunctionClient;
  /** A client with the service key: no row is closed to it. */
  asService(): FunctionClient;
}

export type FunctionHandler = (request: Request, context: FunctionContext) => Promise<Response>;

/** Refuses in the shape that all workers' functions share: `error` for programs, `message` for people. */
export function refusal(status: number, error: string, message: string, field?: string): Response {
  return Response.json({ error, message, ...(field !== undefined && { field }) }, { status });
}

const OPAQUE_KEY = /^sb_(?:secret|publishable)_/;
const JWT = /^[\w-]+\.[\w-]+\.[\w-]+$/;

/**
 * The headers by which the database knows a caller. One of the project's opaque keys goes on as `apikey`, for only there
 * does the gateway take it for a role's. Any other bearer that is no JWT is a personal access token, which travels in a
 * header of its own, since PostgREST would refuse it as a broken JWT. A lone `apikey` counts as bearer.
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
    headers["x-api-token"] = bearer;
  }
  return headers;
}
