/** What a call of supabase-js answers, as far as the functions look at it. */
export interface ClientAnswer<Data> {
  data: Data | null;
  error: { message: string; code?: string | undefined; statusCode?: string | undefined } | null;
}

/** The part of a supabase-js client that the functions use. */
export interface FunctionClient {
  rpc(name: string, args: Record<string, unknown>): PromiseLike<ClientAnswer<unknown>>;
  storage: {
    from(bucket: string): {
      createSignedUploadUrl(
        path: string,
        options?: { upsert: boolean },
      ): Promise<ClientAnswer<{ signedUrl: string; token: string; path: string }>>;
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

/** Refuses in the shape that all functions share: `error` for programs, `message` for people. */
export function refusal(status: number, error: string, message: string): Response {
  return Response.json({ error, message }, { status });
}

/** The headers by which the database knows a caller: its worker token and its own authorization, as they came. */
export function callerHeaders(request: Request): Record<string, string> {
  const headers: Record<string, string> = {};
  const workerToken = request.headers.get("x-worker-token");
  if (workerToken !== null) headers["x-worker-token"] = workerToken;
  const authorization = request.headers.get("authorization");
  if (authorization !== null) headers["Authorization"] = authorization;
  return headers;
}
