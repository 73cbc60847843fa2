import { createClient } from "npm:@supabase/supabase-js@2";
import { type FunctionContext, refusal } from "../_shared/function-context.ts";
import { generateUploadUrl } from "../_shared/generate-upload-url.ts";

function setting(name: string): string {
  const value = Deno.env.get(name);
  if (value === undefined || value === "") throw new Error(`the secret ${name} is not set for this function`);
  return value;
}

const client = (key: string, headers: Record<string, string>) =>
  createClient(setting("SUPABASE_URL"), key, {
    global: { headers },
    auth: { persistSession: false, autoRefreshToken: false },
  });

const context: FunctionContext = {
  videoBucket: Deno.env.get("SUPABASE_VIDEO_BUCKET") || "videos",
  asCaller: (headers) => client(setting("SUPABASE_ANON_KEY"), headers),
  asService: () => client(setting("SUPABASE_SERVICE_ROLE_KEY"), {}),
};

Deno.serve(async (request) => {
  try {
    return await generateUploadUrl(request, context);
  } catch (error) {
    console.error(error);
    return refusal(500, "internal_error", "The function generate-upload-url failed; its log has the reason");
  }
});
