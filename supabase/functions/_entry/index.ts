import { createClient } from "npm:@supabase/supabase-js@2";
import { type FunctionContext, type FunctionHandler, refusal, restRequest } from "../_shared/function-context.ts";
import { keyOf, PUBLIC_KEY, SERVICE_KEY } from "../_shared/project-keys.ts";

function secret(name: string) {
  return Deno.env.get(name);
}

function setting(name: string): string {
  const value = secret(name);
  if (value === undefined || value === "") throw new Error(`the secret ${name} is not set for this function`);
  return value;
}

function client(key: string, headers: Record<string, string>) {
  return createClient(setting("SUPABASE_URL"), key, {
    global: { headers },
    auth: { persistSession: false, autoRefreshToken: false },
  });
}

const context: FunctionContext = {
  videoBucket: secret("SUPABASE_VIDEO_BUCKET") || "videos",
  asCaller: (headers) => client(keyOf(PUBLIC_KEY, secret), headers),
  asService: () => client(keyOf(SERVICE_KEY, secret), {}),
  rest: (method, path, headers, body) =>
    restRequest(setting("SUPABASE_URL"), keyOf(PUBLIC_KEY, secret), method, path, headers, body),
};

async function answer(name: string, handler: FunctionHandler, request: Request): Promise<Response> {
  try {
    return await handler(request, context);
  } catch (error) {
    console.error(error);
    return refusal(500, "internal_error", `The function ${name} failed; its log has the reason`);
  }
}

/** Runs a shared handler as a hosted function. Browsers of any origin may call it, as they may the database's API. */
export function serve(name: string, handler: FunctionHandler): void {
  Deno.serve(async (request) => {
    const response =
      request.method === "OPTIONS" ? new Response(null, { status: 204 }) : await answer(name, handler, request);
    response.headers.set("access-control-allow-origin", "*");
    response.headers.set("access-control-allow-methods", "GET,POST,DELETE,OPTIONS");
    const asked = request.headers.get("access-control-request-headers");
    if (asked !== null) response.headers.set("access-control-allow-headers", asked);
    return response;
  });
}
