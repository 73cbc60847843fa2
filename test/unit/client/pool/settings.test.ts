import { describe, expect, it } from "vitest";
import { explainSetting, namedSettings } from "../../../../src/client/commands/pool/config-read.ts";
import { renderAll, renderOne, settableText } from "../../../../src/client/commands/pool/config-explain.ts";
import { EXIT } from "../../../../src/client/errors.ts";
import { createStyle } from "../../../../src/client/render/output.ts";
import { parsePairs } from "../../../../src/client/setting-pairs.ts";
import { loadConfig } from "../../../../src/config/config.ts";
import { findSetting, settingFacts } from "../../../../src/config/setting-facts.ts";
import { settingsInForce } from "../../../../src/config/settings-in-force.ts";
import { nearestNames } from "../../../../src/contract/nearest-names.ts";
import { POOL_SETTINGS } from "../../../../src/contract/pool-settings.ts";
import { senderOf, signedUpdateId } from "../../../../src/contract/pool-api.ts";

const bare = createStyle(false);
const NOW_MS = Date.parse("2026-11-23T03:00:00Z");
const config = loadConfig({}, { need: [] });

function explained(name: string, own: Record<string, unknown>, environment: Record<string, unknown> = {}) {
  const facts = findSetting(name);
  if (facts === undefined) {
    throw new Error(`there is no setting ${name}`);
  }
  const changes = [
    { at: "2026-11-23T02:00:00Z", by: "alice@box", patch: { maxActiveGpus: 4 } },
    { at: "2026-11-23T01:00:00Z", by: null, patch: { maxActiveGpus: 7, minActiveGpus: 1 } },
  ];
  return explainSetting(facts, settingsInForce(config, environment, own), own, changes, NOW_MS);
}

describe("a name that is no setting's", () => {
  it.each([
    ["maxActiveGPUs", ["maxActiveGpus"]],
    ["MAX_ACTIVE_GPUS", ["maxActiveGpus"]],
    ["maxGpus", ["maxActiveGpus"]],
    ["minActiveGpu", ["minActiveGpus"]],
    ["schedule", ["schedules"]],
    ["polcy", ["policy"]],
    ["colour", []],
    ["x", []],
    ["", []],
  ])("%s is near %j", (given, near) => {
    expect(nearestNames(given, POOL_SETTINGS)).toEqual(near);
  });

  it("gets at most three names, the nearest first", () => {
    const near = nearestNames("bootTimeoutSec", POOL_SETTINGS);
    expect(near).toEqual(["bootPullingTimeoutSec", "bootLoadingTimeoutSec", "bootInstallingTimeoutSec"]);
    expect(nearestNames("x".repeat(100_000), POOL_SETTINGS)).toEqual([]);
  });

  it("is refused with them, and one that is an environment variable's is taken", () => {
    expect(() => namedSettings(["maxGpus"])).toThrow(
      expect.objectContaining({
        exitCode: EXIT.usage,
        message: "maxGpus is no setting",
        advice: "did you mean maxActiveGpus?",
      }),
    );
    expect(namedSettings(["RUNPOD_GPU_TYPE", "GPU_OVERCAPACITY_IDLE_TIMEOUT_SEC"]).map(({ name }) => name)).toEqual([
      "gpuTypes",
      "scaleDownIdleSec",
    ]);
    expect(namedSettings([])).toBe(settingFacts);
  });
});

describe("a setting", () => {
  it("says its unit, as its name does", () => {
    const unitOf = (name: string) => findSetting(name)?.unit;
    expect(unitOf("scaleDownIdleSec")).toBe("s");
    expect(unitOf("watchIntervalMs")).toBe("ms");
    expect(unitOf("failureWindowMinutes")).toBe("min");
    expect(unitOf("maxLaunchesPerMinute")).toBe("1/min");
    expect(unitOf("maxPriceUsdPerHour")).toBe("USD/h");
    expect(unitOf("maxHourlySpendUsd")).toBe("USD/h");
    expect(unitOf("maxActiveGpus")).toBe("GPUs");
    expect(unitOf("policy")).toBeNull();
  });

  it("comes from the pool, with who set it when, from the environment, or is as it is by default", () => {
    expect(explained("maxActiveGpus", { maxActiveGpus: 4 })).toMatchObject({
      value: 4,
      source: "pool",
      changed: { at: "2026-11-23T02:00:00Z", by: "alice@box" },
      defaultValue: 10,
    });
    expect(explained("minActiveGpus", { minActiveGpus: 1 }).changed).toMatchObject({ by: null });
    expect(explained("policy", { policy: "workload" })).toMatchObject({ source: "pool", changed: null });
    expect(explained("maxActiveGpus", {}, { maxActiveGpus: 5 })).toMatchObject({
      value: 5,
      source: "environment",
      changed: null,
    });
    expect(explained("maxActiveGpus", {})).toMatchObject({ value: 10, source: "default" });
    expect(explained("dailyBudgetUsd", {})).toMatchObject({ value: null, source: "default", isAccounts: true });
  });

  it("also says what an open window makes of it now", () => {
    const night = { name: "night", days: ["mon"], from: "00:00", to: "06:00", timeZone: "UTC", minActiveGpus: 0 };
    expect(explained("minActiveGpus", { schedules: [night] })).toMatchObject({ value: 2, now: 0 });
    expect("now" in explained("maxActiveGpus", { schedules: [night] })).toBe(false);
  });

  it("is explained in a line of a table, or whole", () => {
    const settings = [explained("maxActiveGpus", { maxActiveGpus: 4 }), explained("scaleDownIdleSec", {})];
    expect(renderAll({ pool: "main", environmentAt: null, settings }, NOW_MS, Infinity, bare)).toEqual(
      [
        "SETTING           VALUE  UNIT  FROM                               WHAT IT DOES",
        "maxActiveGpus     4      GPUs  the pool, set 1h00m ago by alice@box  Hard ceiling for GPUs; in a burst that needs more, tasks wait until it is over.",
        "scaleDownIdleSec  60     s     default                            Time without a task after which a worker may leave, in seconds.",
      ].map((line, index) => (index === 1 ? line : line.replace(/(FROM|default) +/, (cell) => cell.padEnd(38)))),
    );
    const whole = renderOne(
      explained("scaleDownIdleSec", {}, { scaleDownIdleSec: 30 }),
      { environmentAt: "2026-11-23T02:59:00Z" },
      NOW_MS,
      200,
      bare,
    );
    expect(whole).toEqual([
      "scaleDownIdleSec = 30 s",
      "does       Time without a task after which a worker may leave, in seconds.",
      "from       environment, of the Temporal worker that started 1m00s ago",
      "default    60",
      "expects    a whole number from 0 to 2147483",
      "variable   SCALE_DOWN_IDLE_SEC (also GPU_OVERCAPACITY_IDLE_TIMEOUT_SEC)",
      "holds for  this pool (gpu-pool config set scaleDownIdleSec=…), or all by the environment",
    ]);
  });

  it.each([[4], [true], ["threshold"], ["4"], ["null"], [""], [["a", "b"]], [null], ["[x"], ["-flag"]])(
    "with the value %j is printed as config set reads it",
    (value) => {
      expect(parsePairs([`key=${settableText(value)}`])).toEqual({ key: value });
    },
  );
});

describe("the sender of an update", () => {
  const UUID = "8aaab4e0-00e7-4614-b0a9-63667f124158";

  it("stands in its id, printable and short, and nowhere in the ids of others", () => {
    expect(senderOf(signedUpdateId("alice@box", UUID))).toBe("alice@box");
    expect(senderOf(signedUpdateId("ä b\n/c@box", UUID))).toBe("__b_/c@box");
    expect(senderOf(signedUpdateId("", UUID))).toBe("?");
    expect(senderOf(signedUpdateId("x".repeat(500), UUID))).toHaveLength(100);
    expect([UUID, "mine", `a b/${UUID}`, undefined].map(senderOf)).toEqual([null, null, null, null]);
  });
});
