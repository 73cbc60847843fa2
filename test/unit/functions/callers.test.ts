import { describe, expect, it } from "vitest";
import { databaseFailure } from "../../../supabase/functions/_shared/failure.ts";
import { callerHeaders } from "../../../supabase/functions/_shared/function-context.ts";
import { filename } from "../../../supabase/functions/_shared/fields.ts";
import { keyOf, PUBLIC_KEY, SERVICE_KEY } from "../../../supabase/functions/_shared/project-keys.ts";

function headersFor(headers: Record<string, string>) {
  return callerHeaders(new Request("http://127.0.0.1/functions/v1/x", { headers }));
}

describe("the headers that identify a caller to the database", () => {
  it.each(["sb_secret_abc-1", "sb_publishable_abc-1"])("hold an opaque key as apikey and as bearer: %s", (key) => {
    const expected = { apikey: key, Authorization: `Bearer ${key}` };
    expect(headersFor({ authorization: `Bearer ${key}` })).toEqual(expected);
    expect(headersFor({ apikey: key })).toEqual(expected);
    expect(headersFor({ authorization: `Bearer ${key}`, apikey: "sb_publishable_other" })).toEqual(expected);
    expect(headersFor({ apikey: key, "x-worker-token": "gpw_1" })).toEqual({ ...expected, "x-worker-token": "gpw_1" });
  });

  it("hold a JWT as bearer, and any other bearer as a token of a person or of a worker, whatever the apikey", () => {
    const apikey = "sb_publishable_abc";
    expect(headersFor({ apikey, authorization: "Bearer aa.bb.cc" })).toEqual({ Authorization: "Bearer aa.bb.cc" });
    expect(headersFor({ apikey, authorization: "Bearer gpp_1" })).toEqual({ "x-api-token": "gpp_1" });
    const both = { "x-api-token": "gpw_1", "x-worker-token": "gpw_1" };
    expect(headersFor({ apikey, authorization: "Bearer gpw_1" })).toEqual(both);
    expect(headersFor({ apikey: "gpw_1" })).toEqual(both);
  });
});

describe("an error of a call to the database", () => {
  const failure = (status: number, code?: string) => databaseFailure("f", { message: "Invalid API key", code }, status);

  it("is a 401 when the gateway does not know the key, and a 503 when there is no answer", () => {
    expect(failure(401)).toMatchObject({ status: 401, code: "unauthorized", message: "Invalid API key" });
    expect(failure(401, "42501")).toMatchObject({ status: 403 });
    for (const other of [0, 500, 502]) {
      expect(failure(other)).toMatchObject({ status: 503, code: "database_error" });
    }
  });
});

describe("a hosted function's own key", () => {
  const secretsOf = (secrets: Record<string, string>) => (name: string) => secrets[name];
  const legacy = { SUPABASE_ANON_KEY: "anon", SUPABASE_SERVICE_ROLE_KEY: "service" };

  it("is the opaque key named default, else the first opaque key, else the legacy key", () => {
    const named = '{"ci":"sb_secret_ci","default":"sb_secret_default"}';
    expect(keyOf(SERVICE_KEY, secretsOf({ ...legacy, SUPABASE_SECRET_KEYS: named }))).toBe("sb_secret_default");
    expect(keyOf(SERVICE_KEY, secretsOf({ SUPABASE_SECRET_KEYS: '{"ci":"sb_secret_ci"}' }))).toBe("sb_secret_ci");
    for (const none of [{}, { SUPABASE_SECRET_KEYS: "" }, { SUPABASE_SECRET_KEYS: "{}" }]) {
      expect(keyOf(SERVICE_KEY, secretsOf({ ...legacy, ...none }))).toBe("service");
    }
    expect(
      keyOf(PUBLIC_KEY, secretsOf({ ...legacy, SUPABASE_PUBLISHABLE_KEYS: '{"default":"sb_publishable_1"}' })),
    ).toBe("sb_publishable_1");
    expect(keyOf(PUBLIC_KEY, secretsOf(legacy))).toBe("anon");
  });

  it("is reported missing with the names of the secrets, never their values", () => {
    expect(() => keyOf(PUBLIC_KEY, () => undefined)).toThrow(/SUPABASE_PUBLISHABLE_KEYS nor SUPABASE_ANON_KEY/);
    for (const broken of ["sb_secret_bare", '["sb_secret_listed"]', '"sb_secret_quoted"', "null"]) {
      const read = () => keyOf(SERVICE_KEY, secretsOf({ ...legacy, SUPABASE_SECRET_KEYS: broken }));
      expect(read).toThrow(/SUPABASE_SECRET_KEYS is no JSON object/);
      expect(read).not.toThrow(/sb_secret/);
    }
  });
});

describe("the name of a file that a worker sends", () => {
  it.each([
    ["out.mp4", "out.mp4"],
    ["a cat, 10% “sharp”.mp4", "a_cat__10___sharp_.mp4"],
    ["wait... what?.mp4", "wait..._what_.mp4"],
    ["漢字🎬.png", "___.png"],
    ["back\\slash\n.webm", "back_slash_.webm"],
    [`${"x".repeat(300)}.mp4`, `${"x".repeat(196)}.mp4`],
    ["y".repeat(300), "y".repeat(200)],
    [`x.${"z".repeat(300)}`, `x.${"z".repeat(198)}`],
  ])("is made valid for storage: %j", (given, stored) => {
    expect(filename({ filename: given }, "filename")).toBe(stored);
  });

  it.each(["", "/", "a/b.mp4", "../x.mp4", "..", ".", 7, null])("is refused when it names no file: %j", (given) => {
    expect(() => filename({ filename: given }, "filename")).toThrow(/^filename must be a file's name/);
  });
});
