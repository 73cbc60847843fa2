import { pino } from "pino";
import { describe, expect, it } from "vitest";
import { keepPodLog } from "../../../src/activities/boot/pod-log.ts";
import type { ReadPodLogOutcome } from "../../../src/runpod/logs.ts";
import type { PodLog } from "../../../src/supabase/worker-store.ts";

const TOKEN = "gpw_abcdefghijklmnopqrstuvwxyz";

function read(...texts: readonly string[]): ReadPodLogOutcome {
  return { kind: "read", lines: texts.map((text) => ({ id: null, source: null, at: null, text })), complete: true };
}

/** Keeps the log that this provider shows. @returns what was stored, and the secrets that the provider's client was to hide */
async function keep(answers: Readonly<Record<string, ReadPodLogOutcome | Error>>, wanted = true) {
  const kept: PodLog[] = [];
  const hidden = new Set<string>();
  const deps = {
    runpod: {
      async readPodLog(
        _id: string,
        { source = "", secrets = [] }: { source?: string; secrets?: readonly string[] } = {},
      ) {
        secrets.forEach((secret) => hidden.add(secret));
        const answer = answers[source];
        if (answer === undefined || answer instanceof Error) {
          throw answer ?? new Error(`no answer for ${source}`);
        }
        return answer;
      },
    },
    workers: { wantsPodLog: async () => wanted, addPodLog: async (_id: string, log: PodLog) => void kept.push(log) },
    logger: pino({ level: "silent" }),
  };
  await keepPodLog(deps, "main-0a1b2c3d", "p1", {
    WORKER_ID: "main-0a1b2c3d",
    WORKER_TOKEN: TOKEN,
    OWN_PASSWORD: "of the operator",
    SUPABASE_URL: "https://abc.supabase.co",
  });
  return { kept, hidden: [...hidden] };
}

describe("the log of a failed worker's pod", () => {
  it("is kept with the provider's own lines first, without any credential, whoever printed it", async () => {
    const jwt = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoieCJ9.c2lnbmF0dXJl";
    const { kept, hidden } = await keep({
      system: read("pulling image"),
      container: read("ModuleNotFoundError: No module named 'torch'", `--supabase-access-token gpw_another and ${jwt}`),
    });
    expect(kept).toEqual([
      {
        lines: [
          { source: "system", text: "pulling image" },
          { source: "container", text: "ModuleNotFoundError: No module named 'torch'" },
          { source: "container", text: "--supabase-access-token [redacted] and [redacted]" },
        ],
      },
    ]);
    expect(hidden).toEqual([TOKEN, "of the operator"]);
  });

  it("is kept in part if the provider shows a part, and otherwise the reason is", async () => {
    const unknown = { kind: "unknown", detail: "HTTP 503" } as const;
    expect((await keep({ system: unknown, container: read("a line") })).kept).toEqual([
      { lines: [{ source: "container", text: "a line" }] },
    ]);
    expect((await keep({ system: unknown, container: { kind: "absent" } })).kept).toEqual([
      { error: "system: HTTP 503; container: no pod" },
    ]);
    expect((await keep({ system: read(), container: read() })).kept).toEqual([{ error: "the log is empty" }]);
  });

  it("is read once, and never keeps the pod from being deleted", async () => {
    expect((await keep({}, false)).kept).toEqual([]);
    expect((await keep({ system: new Error("broken"), container: read("a line") })).kept).toEqual([]);
  });
});
