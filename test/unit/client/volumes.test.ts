import { describe, expect, it } from "vitest";
import { type ListedVolume, renderVolumes } from "../../../src/client/commands/volumes/list.ts";
import { jobInWords } from "../../../src/client/jobs/run-job.ts";
import { createStyle } from "../../../src/client/render/output.ts";
import { loadConfig } from "../../../src/config/config.ts";
import { settingsInForce } from "../../../src/config/settings-in-force.ts";
import { volumeFit } from "../../../src/policy/volume-fit.ts";
import { volumeUsdPerMonth } from "../../../src/policy/volume-price.ts";

const bare = createStyle(false);
const volume: ListedVolume = {
  id: "v1",
  name: "wan",
  sizeGb: 100,
  dataCenterId: "EU-RO-1",
  usdPerMonth: 7,
  pools: ["main"],
  prepared: { at: "2026-11-30T20:00:00Z", models: ["t2v_2_2"] },
  preparedNowBy: null,
};

describe("gpu-pool volume list", () => {
  it("shows price, pools, and what was prepared as far as is known", () => {
    const other = { ...volume, id: "v2", name: null, sizeGb: null, usdPerMonth: null, pools: [], prepared: null };
    const busy = { ...volume, id: "v3", preparedNowBy: "main-0a1b2c3d" };
    expect(renderVolumes([volume, other, busy], 120, bare)).toEqual([
      "VOLUME  NAME   GB  DATA CENTER  $/MONTH  POOLS  PREPARED",
      "v1      wan   100  EU-RO-1         7.00  main   2026-11-30: t2v_2_2",
      "v2      ?       ?  EU-RO-1            ?  –      not that this database knows",
      "v3      wan   100  EU-RO-1         7.00  main   now, by pod main-0a1b2c3d",
    ]);
    expect(renderVolumes([], 120, bare)).toHaveLength(1);
  });

  it("knows the two prices of the provider's list", () => {
    expect([10, 1_000, 2_000].map(volumeUsdPerMonth).map((usd) => usd.toFixed(2))).toEqual(["0.70", "70.00", "120.00"]);
  });
});

describe("a prepared volume", () => {
  const settings = settingsInForce(loadConfig({ HEADLESS_WAN2GP_MODELS: "a b" }, { need: [] }), {}, {});
  const manifest = {
    image: settings.workerImage,
    commit: settings.headlessWan2gpCommit,
    folder: settings.headlessWan2gpFolder,
    venv: settings.headlessWan2gpVenv,
    torch: settings.headlessWan2gpTorch,
    models: ["b", "c", "a"],
  };
  const misfits = (laid: Partial<typeof manifest>) =>
    volumeFit(settings, laid).flatMap(({ what, fits }) => (fits ? [] : [what]));

  it("fits while image, code, environment and packages are the settings', and it has all their models", () => {
    expect(misfits(manifest)).toEqual([]);
    expect(misfits({ ...manifest, models: ["a"] })).toEqual(["models"]);
    for (const part of ["image", "commit", "folder", "venv", "torch"] as const) {
      expect(misfits({ ...manifest, [part]: "another" })).toEqual([part === "venv" ? "environment" : part]);
    }
    expect(misfits({})).toHaveLength(6);
  });
});

describe("how far a job is", () => {
  const workers = { pod_id: "p1", boot_stage: "starting" };
  const words = (report: object, state = "running") => jobInWords({ report, state, workers } as never);

  it("is its boot, then its step with what it fetched, then its end", () => {
    expect(words({})).toBe("pod p1: starting");
    expect(words({ step: 3, steps: 7, name: "Python environment" })).toBe("step 3 of 7: Python environment");
    const bytes = { step: 5, steps: 7, name: "weights", bytes: 12.34e9, totalBytes: 48e9, file: "t2v.safetensors" };
    expect(words(bytes)).toBe("step 5 of 7: weights, 12.3 of 48.0 GB (t2v.safetensors)");
    expect(words({ checks: [] }, "done")).toBe("done; its pod is being deleted");
  });
});
