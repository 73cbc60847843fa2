import { describe, expect, it } from "vitest";
import { type ConfigError, loadConfig } from "../../../src/config/config.ts";
import { parseOwnSettings, settingsInForce } from "../../../src/config/settings-in-force.ts";
import { expandEnvironment } from "../../../src/config/worker-environment.ts";

function entriesOf(WORKER_ENV: string): readonly string[] {
  return loadConfig({ WORKER_ENV }, { need: [] }).launch.workerEnv;
}

function refusal(entries: readonly string[]): string {
  try {
    parseOwnSettings({ workerEnv: entries });
  } catch (error) {
    return (error as ConfigError).message;
  }
  throw new Error(`${JSON.stringify(entries)} was accepted`);
}

describe("WORKER_ENV", () => {
  it("is a list of NAME and NAME=value; as JSON, a value may hold commas", () => {
    expect(entriesOf("HF_HOME=/models, HF_TOKEN")).toEqual(["HF_HOME=/models", "HF_TOKEN"]);
    expect(entriesOf('["ARGS=--a,--b=c", "EMPTY="]')).toEqual(["ARGS=--a,--b=c", "EMPTY="]);
    expect(entriesOf("")).toEqual([]);
  });

  it("gives a pod the values written in it and, for names alone, those of the process; names without one are told", () => {
    const own = (name: string) => ({ HF_TOKEN: "secret-value", BLANK: "" })[name];
    expect(expandEnvironment(["HF_HOME=/m=1", "HF_TOKEN", "EMPTY=", "BLANK", "ABSENT"], own)).toEqual({
      values: { HF_HOME: "/m=1", HF_TOKEN: "secret-value", EMPTY: "", BLANK: "" },
      missing: ["ABSENT"],
    });
  });

  it.each([
    "HF_TOKEN=abc",
    "aws_secret_access_key=abc",
    "DB_PASSWORD=abc",
    "PROXY=http://me:pass@proxy.example:3128",
    "X=sb_secret_abc",
  ])("invariant 10: refuses the secret in %s, which would stand in the pool's row, and does not repeat it", (entry) => {
    const message = refusal(["A=1", entry]);
    expect(message).toContain(`${entry.split("=", 1)[0]} looks like a secret`);
    expect(() => loadConfig({ WORKER_ENV: entry }, { need: [] })).toThrow("looks like a secret");
    expect(parseOwnSettings({ workerEnv: [entry.split("=", 1)[0]] })).toBeDefined();
  });

  it.each(["RUNPOD_API_KEY", "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_DB_URL", "TEMPORAL_API_KEY", "WORKER_TOKEN=x"])(
    "gives no pod %s: it is the account's, or the pool sets it",
    (entry) => {
      expect(refusal([entry])).toContain(`${entry.split("=", 1)[0]} is set by the pool itself, or no pod may have it`);
    },
  );

  it.each(["", "1A=x", "A B=x", "=x", "A-B"])("refuses %j, which names no variable", (entry) => {
    expect(refusal([entry])).toContain("each entry must be NAME or NAME=value");
  });
});

describe("what a pod runs and where it is rented", () => {
  const config = loadConfig({ RUNPOD_NETWORK_VOLUME_ID: "vol-1", RUNPOD_DATA_CENTER_IDS: "EU-RO-1" }, { need: [] });

  it("can differ between two pools of one environment", () => {
    const own = parseOwnSettings({ workerImage: "me/worker:2", gpuTypes: ["NVIDIA L40S"], clouds: ["COMMUNITY"] });
    expect(settingsInForce(config, {}, own)).toMatchObject({ ...own, networkVolumeId: "vol-1" });
    expect(settingsInForce(config, {}, {})).toMatchObject({ gpuTypes: ["NVIDIA GeForce RTX 4090"] });
  });

  it("can lack what the environment has: an empty text or an empty list takes it away", () => {
    const own = parseOwnSettings({ networkVolumeId: "", dataCenterIds: [], workerStartCommand: "" });
    expect(settingsInForce(config, {}, own)).toMatchObject({ networkVolumeId: "", dataCenterIds: [] });
  });

  it.each([
    [{ gpuTypes: [] }],
    [{ gpuTypes: "NVIDIA L40S" }],
    [{ clouds: ["SECURE", "SECURE"] }],
    [{ clouds: [] }],
    [{ networkVolumeId: "a b" }],
    [{ workerProfile: "other" }],
  ])("refuses %j", (own) => {
    expect(() => parseOwnSettings(own)).toThrow("expected");
  });
});
