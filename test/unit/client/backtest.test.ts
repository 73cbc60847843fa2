import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compare } from "../../../src/backtest/compare.ts";
import { generate, LOAD } from "../../../src/backtest/generate.ts";
import { adviceOf } from "../../../src/client/commands/backtest/advise.ts";
import { candidateOf, present } from "../../../src/client/commands/backtest/candidates.ts";
import { renderComparison } from "../../../src/client/render/comparison.ts";
import { drawComparison } from "../../../src/client/render/picture/comparison-picture.ts";
import { linearAxis, logAxis } from "../../../src/client/render/picture/svg.ts";
import { loadConfig } from "../../../src/config/config.ts";
import { settingsInForce } from "../../../src/config/settings-in-force.ts";
import { runClient } from "../../kit/client.ts";

const DEFAULTS = settingsInForce(loadConfig({}, { need: [] }), {}, {});
const GIVEN = { bootSec: 120, bootSigma: 0, seed: 1, claims: "as_polled", priceUsd: 0.5 } as const;
function withoutStyle(_format: unknown, text: string): string {
  return text;
}

let cwd = "";
beforeAll(async () => void (cwd = await mkdtemp(join(tmpdir(), "backtest-"))));
afterAll(() => rm(cwd, { recursive: true, force: true }));

async function run(...args: string[]) {
  return await runClient(["backtest", ...args], { cwd, env: {} });
}

describe("gpu-pool backtest without a database", () => {
  it("compares settings over a file, in a table, in JSON and in a picture", async () => {
    await writeFile(join(cwd, "tasks.csv"), "time,seconds,type\n0,30,video\n4,30,video\n");
    const picture = join(cwd, "out.svg");
    const sets = ["--set", "SCALING_POLICY=workload,MIN_ACTIVE_GPUS=0", "--set", "MIN_ACTIVE_GPUS=0,MAX_ACTIVE_GPUS=1"];
    const args = ["--csv", join(cwd, "tasks.csv"), "--boot-sec", "60", "--price", "1", ...sets];
    const { exitCode, stdout, stderr } = await run(...args, "--svg", picture);
    expect(exitCode).toBe(0);
    const lines = stdout.split("\n");
    expect(lines[0]).toMatch(/tasks\.csv: 2 tasks in 4s, 0\.0 GPU h of work$/);
    expect(lines[3]).toMatch(/^SETTINGS +GPU H +USD +× LEAST +MEAN +P50 +P95 +P99 +SPAWNS +PEAK$/);
    expect(lines[5]).toMatch(/^MIN_ACTIVE_GPUS=0,MAX_ACTIVE_GPUS=1 .* 1 +1$/);
    expect(stderr).toBe(`the picture is in ${picture}`);
    expect(await readFile(picture, "utf8")).toMatch(/^<svg .*<\/svg>\n$/s);
    const json = JSON.parse((await run(...args, "--json")).stdout) as Record<string, unknown>;
    expect(json).toMatchObject({ tasks: 2, workSec: 60, bootSec: 60, bounds: { floorSec: 120, noWaitSec: 180 } });
    // Seen half a second after the start at the latest; the second task waits for the first.
    expect(json["results"]).toMatchObject([{ spawns: 2 }, { spawns: 1, waitSec: { mean: 73 } }]);
  });

  it("draws tasks from the generator, and names what it does not know", async () => {
    const { exitCode, stdout } = await run("--generate", "days=1,seed=7", "--set", "MIN_ACTIVE_GPUS=0", "--json");
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ about: "generated, seed 7", bootSec: 120, priceUsd: null });
    expect((await run("--generate", "hours=3")).stderr).toContain("--generate: hours=3 is not known");
    expect((await run("--generate", "days=0")).stderr).toContain("Expected days above 0");
  });

  it.each([
    [["--csv", "none.csv"], "--csv none.csv cannot be read: ENOENT"],
    [["--csv", "-"], "--csv - has no task"],
    [["--csv", "x.csv", "--generate"], "--csv and --generate exclude each other"],
    [["--generate", "--set", "MIN_GPUS=1"], "MIN_GPUS is not a setting of a pool"],
    [["--generate", "--set", "MAX_ACTIVE_GPUS=many"], "MAX_ACTIVE_GPUS=many: expected a whole number from 0 to 10000"],
    [["--generate", "--set", "MIN_ACTIVE_GPUS=5,MAX_ACTIVE_GPUS=4"], "minActiveGpus=5 is above maxActiveGpus=4"],
    [["--generate", "--set", "MIN_ACTIVE_GPUS"], "MIN_ACTIVE_GPUS is no NAME=value"],
    [["--generate", "--set", "WAIT_VALUE=1,TARGET_WAIT_SEC=9"], "each say what waiting is worth"],
    [["--generate", "--set", "waitValue=1,WAIT_VALUE=2"], "WAIT_VALUE=2: waitValue is given twice"],
    [["--generate", "--boot-sec", "-1"], "Expected a number above 0"],
  ])("exits with 2 and says what is wrong: %j", async (args, message) => {
    const { exitCode, stderr } = await run(...args);
    expect(stderr).toContain(message);
    expect(exitCode).toBe(2);
  });

  it("names the line of a file that it cannot read", async () => {
    await writeFile(join(cwd, "far.csv"), "2026-03-01,30\n1926-03-02,30\n");
    expect((await run("--csv", join(cwd, "far.csv"))).stderr).toContain(
      "far.csv has times from 1926-03-02 to 2026-03-01",
    );
    await writeFile(join(cwd, "wrong.csv"), "0,30\nsoon,30\n");
    const { exitCode, stderr } = await run("--csv", join(cwd, "wrong.csv"));
    expect({ exitCode, stderr }).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('line 2: "soon" is no time'),
    });
  });
});

describe("a comparison", () => {
  const set = "SCALING_POLICY=workload,MIN_ACTIVE_GPUS=0,MAX_ACTIVE_GPUS=100";
  const candidates = [
    present(DEFAULTS),
    candidateOf(DEFAULTS, set),
    candidateOf(DEFAULTS, "maxActiveGpus=0,MIN_ACTIVE_GPUS=0"),
  ];
  const comparison = compare(candidates, generate({ ...LOAD, days: 1 }), GIVEN);

  it("fits any width, and says which settings serve not all tasks", () => {
    for (const width of [60, 120]) {
      const lines = renderComparison("drawn", comparison, width, withoutStyle);
      expect(lines.slice(3, 7).every((line) => line.length <= width)).toBe(true);
      expect(lines.at(-1)).toMatch(/tasks were never served; the waits leave them out$/);
    }
  });

  it("advises settings that are cheaper or faster and not worse otherwise, and never those that serve not all", () => {
    const [now, better] = comparison.results;
    expect(adviceOf({ ...comparison, results: [now!, better!] }).join()).toContain(set);
    expect(adviceOf({ ...comparison, results: [better!, now!] })).toEqual([
      "None of these is both as fast and as cheap as the present settings.",
    ]);
    expect(adviceOf({ ...comparison, results: [now!, comparison.results[2]!] }).join()).not.toContain(
      "maxActiveGpus=0",
    );
  });

  it("becomes a picture in which every number is finite and every label is text", () => {
    const labelled = comparison.results.map((each) => ({ ...each, label: "<&\"'\u0007>" }));
    const picture = drawComparison("a & b", { ...comparison, results: labelled });
    expect(picture).not.toMatch(/NaN|Infinity|undefined/);
    expect(picture).not.toContain("\u0007");
    expect(picture).toContain("&lt;&amp;&quot;");
    expect(picture).toContain("a &amp; b");
  });

  it.each([
    [0, 0],
    [1, 1],
    [0.2, 100_000],
  ])("has axes for any range: %d to %d", (low, high) => {
    for (const axis of [linearAxis(low, high, 0, 100), logAxis(low, high, 0, 100)]) {
      expect(axis.ticks.length).toBeGreaterThan(1);
      expect([low, high].every((value) => axis.at(value) >= -1e-9 && axis.at(value) <= 100 + 1e-9)).toBe(true);
    }
  });
});
