import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadClientConnectConfig } from "@temporalio/envconfig";
import { afterAll, describe, expect, it } from "vitest";
import { ConfigError, loadConfig, ownVariable, takeSecretsFromFiles } from "../../../src/config/config.ts";
import { SECRET_NAMES } from "../../../src/config/secret-files.ts";

const folder = mkdtempSync(join(tmpdir(), "secret-files-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let files = 0;
function fileWith(text: string): string {
  const path = join(folder, String(files++));
  writeFileSync(path, text);
  return path;
}

const inFiles = {
  SUPABASE_URL: "https://abc.supabase.co",
  SUPABASE_ANON_KEY_FILE: fileWith("anon-in-a-file\n"),
  SUPABASE_SERVICE_ROLE_KEY_FILE: fileWith("service-in-a-file\r\n"),
  RUNPOD_API_KEY_FILE: fileWith("runpod-in-a-file"),
};

function problemOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof ConfigError) {
      return error.message;
    }
    throw error;
  }
  throw new Error("expected a ConfigError, but nothing was thrown");
}

describe("secrets in files", () => {
  it("are those of every variable that is declared secret, the one that Temporal's SDK reads among them", () => {
    const known = [
      "SUPABASE_ANON_KEY",
      "SUPABASE_SERVICE_ROLE_KEY",
      "SUPABASE_DB_URL",
      "RUNPOD_API_KEY",
      "ALERT_WEBHOOK_URL",
    ];
    expect(SECRET_NAMES).toEqual(expect.arrayContaining([...known, "REPLICATE_API_TOKEN", "TEMPORAL_API_KEY"]));
    expect(SECRET_NAMES.filter((name) => !/(KEY|SECRET|TOKEN|URL)$/.test(name))).toEqual([]);
  });

  it("are read without the line end at their end, beside an empty variable too", () => {
    const { supabase, runpod } = loadConfig({ ...inFiles, RUNPOD_API_KEY: "" });
    expect([supabase.anonKey, supabase.serviceRoleKey]).toEqual(["anon-in-a-file", "service-in-a-file"]);
    expect(runpod.apiKey).toBe("runpod-in-a-file");
  });

  it.each(SECRET_NAMES)("reach each reader of the environment: %s", (name) => {
    const env: Record<string, string | undefined> = { [`${name}_FILE`]: fileWith("the-value\n") };
    takeSecretsFromFiles(env);
    expect(env).toEqual({ [name]: "the-value" });
    takeSecretsFromFiles(env);
    expect(env).toEqual({ [name]: "the-value" });
  });

  it("reach the connection that Temporal's SDK opens", () => {
    const env: Record<string, string> = { TEMPORAL_ADDRESS: "a:7233", TEMPORAL_API_KEY_FILE: fileWith("cloud-key\n") };
    takeSecretsFromFiles(env);
    const { connectionOptions } = loadClientConnectConfig({ overrideEnvVars: env });
    expect(connectionOptions).toMatchObject({ address: "a:7233", apiKey: "cloud-key", tls: true });
  });

  const wrong: readonly (readonly [string, () => string, RegExp])[] = [
    ["is missing", () => join(folder, "none"), /RUNPOD_API_KEY_FILE=\S+none: there is no such file/],
    ["is empty", () => fileWith(" \n"), /RUNPOD_API_KEY_FILE=\S+: the file is empty/],
    ["is a folder", () => folder, /RUNPOD_API_KEY_FILE=\S+: the file cannot be read \(EISDIR\)/],
    ["has two lines", () => fileWith("the-key\nsecond-line\n"), /RUNPOD_API_KEY_FILE=\S+: expected one line/],
  ];
  it.each(wrong)("are refused when the file %s, by variable and path, without its content", (_, path, message) => {
    const env = { ...inFiles, RUNPOD_API_KEY_FILE: path() };
    for (const read of [() => loadConfig(env), () => takeSecretsFromFiles({ ...env })]) {
      const problem = problemOf(read);
      expect(problem).toMatch(message);
      expect(problem).not.toMatch(/the-key|second-line/);
    }
  });

  it.each(["rpa_the-key", "postgresql://postgres:the-key@db/x", "eyJ/the-key"])(
    "are not shown when one was given in place of a path: %s",
    (secret) => {
      const problem = problemOf(() => loadConfig({ ...inFiles, RUNPOD_API_KEY_FILE: secret }));
      expect(problem).toContain("RUNPOD_API_KEY_FILE, which must be the path of a file: there is no such file");
      expect(problem).not.toContain("the-key");
    },
  );

  it("are refused when the variable is set too, and the error lists this beside all other problems, without a value", () => {
    const env = { ...inFiles, RUNPOD_API_KEY: "runpod-itself", MAX_ACTIVE_GPUS: "many" };
    const problem = problemOf(() => loadConfig(env));
    expect(problem).toContain("RUNPOD_API_KEY and RUNPOD_API_KEY_FILE are both set; set only one of them");
    expect(problem).toContain("MAX_ACTIVE_GPUS=many");
    expect(problem).not.toMatch(/runpod-itself|in-a-file/);
  });
});

describe("a variable that WORKER_ENV passes on", () => {
  it("may be in a file too, which is read at each call and may have several lines", () => {
    const path = fileWith("first\nlines\n");
    const env = { HF_TOKEN_FILE: path, BOTH: "itself", BOTH_FILE: path, EMPTY: "" };
    expect(["HF_TOKEN", "BOTH", "EMPTY", "ABSENT"].map((name) => ownVariable(name, env))).toEqual([
      "first\nlines",
      "itself",
      "",
      undefined,
    ]);
    writeFileSync(path, "second");
    expect(ownVariable("HF_TOKEN", env)).toBe("second");
  });

  it("is refused with the name of its file when that cannot be read", () => {
    const problem = problemOf(() => ownVariable("HF_TOKEN", { HF_TOKEN_FILE: join(folder, "none") }));
    expect(problem).toMatch(/HF_TOKEN_FILE=\S+none: there is no such file/);
  });
});
