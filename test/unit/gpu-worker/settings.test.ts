import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readSettings } from "../../../src/gpu-worker/settings.ts";

const base = {
  WORKER_ID: "pool-0a1b2c3d",
  SUPABASE_URL: "http://127.0.0.1:54321/",
  SUPABASE_ANON_KEY: "anon",
  WORKER_TOKEN: "secret-token",
  WORKER_ENGINE: "preview",
};

describe("the GPU worker's settings", () => {
  it("reads a minimal environment and fills in the defaults", () => {
    const settings = readSettings({ ...base, WORKER_POLL_MS: "", ANOTHER_PROGRAMS: "x" });
    expect(settings).toMatchObject({
      supabaseUrl: "http://127.0.0.1:54321",
      supabaseKey: "anon",
      workerToken: "secret-token",
      videoBucket: "videos",
      pollMs: 1_000,
      heartbeatMs: 20_000,
      maxLifetimeSec: null,
      ffmpegPath: null,
      replicate: null,
      fuse: null,
      missingForFuse: [],
    });
    expect(settings).toMatchObject({ outputDir: join(tmpdir(), `gpu-worker-${process.getuid?.()}`) });
  });

  it("limits input files, and takes those of the project's own address", () => {
    expect(readSettings(base).inputs).toEqual({
      maxBytes: 2_000_000_000,
      timeoutMs: 600_000,
      folders: [],
      ownOrigin: "http://127.0.0.1:54321",
    });
    const given = { WORKER_INPUT_MAX_MB: "5", WORKER_INPUT_TIMEOUT_SEC: "9", WORKER_INPUT_DIRS: "/films:/pictures:" };
    expect(readSettings({ ...base, ...given }).inputs).toMatchObject({
      maxBytes: 5_000_000,
      timeoutMs: 9_000,
      folders: ["/films", "/pictures"],
    });
  });

  it("writes no log files and keeps none, unless it is told to; own types lie where their paths lead from here", () => {
    expect(readSettings(base)).toMatchObject({ logDir: null, keepsFiles: false, taskTypeModules: [] });
    const given = { WORKER_LOG_DIR: "logs", WORKER_KEEP_FILES: "1", TASK_TYPE_MODULES: "/a.mjs:b.mjs" };
    expect(readSettings({ ...base, ...given })).toMatchObject({
      logDir: "logs",
      keepsFiles: true,
      taskTypeModules: ["/a.mjs", join(process.cwd(), "b.mjs")],
    });
  });

  it("calls Replicate with a token alone", () => {
    const apiUrl = "https://api.replicate.com/v1";
    expect(readSettings({ ...base, REPLICATE_API_TOKEN: "r8" }).replicate).toEqual({ token: "r8", apiUrl });
    expect(() => readSettings({ ...base, REPLICATE_API_TOKEN: "r8 secret" })).toThrow(
      "REPLICATE_API_TOKEN is not usable (its value is kept out of this message): expected a token",
    );
  });

  it("reads the types to do, separated by commas or as a JSON array", () => {
    const types = (text: string) => readSettings({ ...base, WORKER_TASK_TYPES: text }).taskTypes;
    expect(readSettings(base).taskTypes).toBeNull();
    expect(types("t2v, flux")).toEqual(["t2v", "flux"]);
    expect(types('["a, b","flux"]')).toEqual(["a, b", "flux"]);
    expect(() => types("[t2v")).toThrow("WORKER_TASK_TYPES=");
  });

  it("takes the service key in place of the worker's token, without a public key", () => {
    const { SUPABASE_ANON_KEY: _key, WORKER_TOKEN: _token, ...rest } = base;
    expect(readSettings({ ...rest, SUPABASE_SERVICE_ROLE_KEY: "service" })).toMatchObject({
      supabaseKey: "service",
      workerToken: null,
    });
  });

  it("needs no server for a queue in a file, and no worker's token for a user's own machine", () => {
    const { SUPABASE_URL: url, SUPABASE_ANON_KEY: key, WORKER_TOKEN: _token, ...rest } = base;
    expect(readSettings({ ...rest, DB_TYPE: "sqlite", SQLITE_DB_PATH_ENV: "/data/tasks.db" })).toMatchObject({
      localFile: "/data/tasks.db",
      supabaseUrl: "",
      pollMs: 10_000,
    });
    const own = { ...rest, SUPABASE_URL: url, SUPABASE_ANON_KEY: key, WORKER_ACCESS_TOKEN: "gpp_x" };
    expect(readSettings(own)).toMatchObject({
      localFile: null,
      accessToken: "gpp_x",
      workerToken: null,
      pollMs: 1_000,
    });
  });

  it("has a fuse where the pod's end, id and key are set, at Runpod's address by default", () => {
    const pod = {
      POD_ENDS_AT: "2030-01-31T12:00:00.000Z",
      RUNPOD_POD_ID: "x1y2z3",
      RUNPOD_API_KEY: "pod-key",
      ALLOW_PREVIEW: "1",
    };
    expect(readSettings({ ...base, ...pod })).toMatchObject({
      fuse: { endsAtMs: 1_896_091_200_000, podId: "x1y2z3", apiKey: "pod-key", apiUrl: "https://api.runpod.io/v2" },
      missingForFuse: [],
    });
    expect(readSettings({ ...base, ...pod, RUNPOD_API_KEY: "" })).toMatchObject({
      fuse: null,
      missingForFuse: ["RUNPOD_API_KEY"],
    });
    expect(readSettings({ ...base, ...pod, POD_ENDS_AT: "" })).toMatchObject({ fuse: null, missingForFuse: [] });
  });

  it.each([
    [{ WORKER_POLL_MS: "soon" }, 'WORKER_POLL_MS="soon": expected a whole number of milliseconds from 50 to 60000'],
    [{ WORKER_HEARTBEAT_MS: "5" }, 'WORKER_HEARTBEAT_MS="5": expected a whole number of milliseconds'],
    [{ WORKER_INPUT_DIRS: "/films:pictures" }, 'WORKER_INPUT_DIRS="/films:pictures": expected whole paths of folders'],
    [{ WORKER_INPUT_MAX_MB: "0" }, 'WORKER_INPUT_MAX_MB="0": expected a whole number of megabytes'],
    [{ WORKER_ID: "" }, "WORKER_ID is not set"],
    [{ SUPABASE_URL: "ftp://x" }, 'SUPABASE_URL="ftp://x": expected an http or https address'],
    [
      { DB_TYPE: "mysql" },
      "DB_TYPE=\"mysql\": expected 'supabase' or, for a queue in a file on this machine, 'sqlite'",
    ],
    [{ WORKER_ACCESS_TOKEN: "a b" }, "WORKER_ACCESS_TOKEN is not usable (its value is kept out of this message)"],
    [{ SUPABASE_URL: "" }, "SUPABASE_URL is not set: expected an http or https address"],
    [{ POSTGRES_TABLE_NAME: "jobs" }, "POSTGRES_TABLE_NAME=\"jobs\": expected only 'tasks', because claims"],
    [{ WORKER_ENGINE: "wan2gp" }, "WORKER_ENGINE=\"wan2gp\": expected 'preview'"],
    [{ WORKER_ENGINE: "" }, "WORKER_ENGINE is not set: expected 'preview', the one engine that there is"],
    [{ ALLOW_PREVIEW: "yes" }, "ALLOW_PREVIEW=\"yes\": expected only '1'"],
    [{ LOG_LEVEL: "loud" }, 'LOG_LEVEL="loud": expected one of trace, debug'],
    [{ WORKER_MAX_LIFETIME_SEC: "2147484" }, "from 1 to 2147483"],
    [{ POD_ENDS_AT: "tomorrow" }, 'POD_ENDS_AT="tomorrow": expected an instant in UTC'],
    [{ POD_ENDS_AT: "2030-01-31T12:00:00+01:00" }, "expected an instant in UTC"],
    [{ RUNPOD_POD_ID: "../x" }, 'RUNPOD_POD_ID="../x": expected the pod\'s id'],
    [{ RUNPOD_API_URL: "ftp://x" }, 'RUNPOD_API_URL="ftp://x": expected an http or https address'],
    [{ SUPABASE_SERVICE_ROLE_KEY: "service" }, "give exactly one of the credentials"],
    [{ WORKER_TOKEN: "" }, "WORKER_TOKEN is not set"],
    [{ SUPABASE_ANON_KEY: "" }, "SUPABASE_ANON_KEY is not set"],
  ])("refuses %j and says what is allowed", (fields, message) => {
    expect(() => readSettings({ ...base, ...fields })).toThrow(message);
  });

  it("refuses previews in a pod of the real provider, unless they are allowed", () => {
    const pod = { ...base, RUNPOD_POD_ID: "x1y2z3" };
    expect(() => readSettings(pod)).toThrow(
      "WORKER_ENGINE=preview: a rented GPU would only draw previews; set ALLOW_PREVIEW=1",
    );
    expect(readSettings({ ...pod, ALLOW_PREVIEW: "1" }).engine).toBe("preview");
    expect(readSettings({ ...pod, RUNPOD_API_URL: "http://127.0.0.1:54390/v2" }).engine).toBe("preview");
    expect(readSettings(base).engine).toBe("preview");
  });

  it("keeps a pod's key out of the message that refuses it", () => {
    const read = () => readSettings({ ...base, RUNPOD_API_KEY: "pod-key with blanks" });
    expect(read).toThrow("RUNPOD_API_KEY is not usable");
    expect(read).not.toThrow(/pod-key/);
  });

  it("names every wrong variable at once and never a secret or a password in an address", () => {
    const read = () =>
      readSettings({ ...base, LOG_LEVEL: "loud", WORKER_POLL_MS: "1", SUPABASE_URL: "ftp://me:pass-word@host" });
    expect(read).toThrow(/SUPABASE_URL=.*LOG_LEVEL=.*WORKER_POLL_MS=/);
    expect(read).not.toThrow(/secret-token|pass-word/);
  });
});
