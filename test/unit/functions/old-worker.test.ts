import { describe, expect, it } from "vitest";
import type { FunctionContext } from "../../../supabase/functions/_shared/function-context.ts";
import { oldWorker } from "../../../supabase/functions/_shared/old-worker.ts";

/** The body of a heartbeat as it reaches the database. */
async function forwarded(body: string): Promise<string | undefined> {
  let sent: string | undefined;
  const context = {
    async rest(_method: string, _path: string, _headers: object, given?: string) {
      sent = given;
      return new Response("{}");
    },
  } as unknown as FunctionContext;
  const url = "http://127.0.0.1/functions/v1/old-worker/secret/rest/v1/rpc/func_worker_heartbeat_with_logs";
  await oldWorker({})(new Request(url, { method: "POST", body }), context);
  return sent;
}

describe("a heartbeat of an old worker", () => {
  it.each([
    ["half a character", String.raw`{"a":"\ud83c"}`, String.raw`{"a":"\ufffd"}`],
    ["the other half", String.raw`{"a":"x\uDFACy"}`, String.raw`{"a":"x\ufffdy"}`],
    ["halves in the wrong order", String.raw`["\udfac\ud83c\ud83c\udfac"]`, String.raw`["\ufffd\ufffd\ud83c\udfac"]`],
    [
      "a backslash before the letters of an escape",
      String.raw`["\\ud83c","\\\ud83c"]`,
      String.raw`["\\ud83c","\\\ufffd"]`,
    ],
  ])("gets %s replaced", async (_what, body, expected) => {
    expect(await forwarded(body)).toBe(expected);
  });

  it.each([
    ["a number that JavaScript would round", String.raw`{"a":"\ud83c\udfac \u0000 \n","seed":9007199254740993}`],
    ["what is no JSON, or nested too deeply", String.raw`{"a":"\ud83c\udfac","deep":${"[".repeat(20_000)}`],
  ])("stays as it is otherwise: %s", async (_what, body) => {
    expect(await forwarded(body)).toBe(body);
  });
});
