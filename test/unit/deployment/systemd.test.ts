import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Variable } from "../../../src/config/kinds.ts";
import { table } from "../../../src/config/variables.ts";
import { complaints, complaintsAboutCycle, type Deployed, secretsInClear } from "../../kit/deployment/rules.ts";
import { hasTool, without } from "../../kit/deployment/tools.ts";

const FOLDER = new URL("../../../deployment/systemd/", import.meta.url);
const PROGRAM = "/opt/gpu-pool/bin/gpu-pool.js";
const SERVICES = ["gpu-pool.service", "gpu-pool-cycle.service"];
const UNITS = [...SERVICES, "gpu-pool-cycle.timer"];
/** Exposure as systemd-analyze counts it, in tenths: 0 is none, 100 the most. */
const MOST_EXPOSURE = 20;

function text(name: string): string {
  return readFileSync(new URL(name, FOLDER), "utf8");
}
/** The values of a key of a unit, in their order. */
function values(name: string, key: string): string[] {
  return [...text(name).matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].map(([, value = ""]) => value);
}
function programOf(name: string, settings: Record<string, string> = {}): Deployed {
  const [node, program, ...args] = values(name, "ExecStart")[0]!.split(" ");
  expect([node, program]).toEqual(["/usr/bin/node", PROGRAM]);
  const environment = values(name, "Environment").flatMap((line) => line.split(" "));
  const given = environment
    .map((each) => each.split("=", 2) as [string, string])
    // Node's own.
    .filter(([variable]) => variable !== "NODE_ENV");
  const env = [...given, ...Object.entries(settings)].map(([variable, value]) => ({ name: variable, value }));
  const port = Number(given.find(([variable]) => variable === "HEALTH_PORT")?.[1]);
  return { where: name, args, env, ports: port ? [port] : [], requests: [] };
}
const settings = parseEnv(text("settings.env")) as Record<string, string>;

describe.each(SERVICES)("%s", (name) => {
  it("gives variables that the program reads, and arguments that it takes", () => {
    expect(complaints(programOf(name, settings))).toEqual([]);
    expect(values(name, "EnvironmentFile")).toEqual(["/etc/gpu-pool/settings.env"]);
  });

  it("takes every secret that its command needs, and no other, from a credential", () => {
    expect(secretsInClear(name, text(name))).toEqual([]);
    const loaded = values(name, "LoadCredential").map((each) => each.split(":"));
    for (const [secret, path] of loaded) {
      expect(path).toBe(`/etc/gpu-pool/secrets/${secret}`);
    }
    const files = values(name, "Environment").flatMap((line) => /^(\w+)_FILE=%d\/(\w+)$/.exec(line)?.slice(1) ?? []);
    expect(files).toEqual(loaded.flatMap(([secret = ""]) => [secret.toUpperCase(), secret]));
    // A cycle asks the Temporal worker, which alone speaks with the provider.
    const groups = name === "gpu-pool.service" ? [table.supabase, table.runpod] : [table.supabase];
    const needed = groups.flatMap((group) => Object.values<Variable>(group));
    const secrets = needed.filter((each) => each.secret && each.presence === "required").map((each) => each.name);
    expect(loaded.map(([secret = ""]) => secret.toUpperCase())).toEqual(secrets);
  });
});

it("settings.env holds no secret", () => {
  expect(secretsInClear("settings.env", text("settings.env"))).toEqual([]);
});

it("the worker has time to end, which a request for a pod may need, and is started again unless a setting is wrong", () => {
  expect(values("gpu-pool.service", "TimeoutStopSec")).toEqual(["40s"]);
  expect(values("gpu-pool.service", "Restart")).toEqual(["always"]);
  expect(values("gpu-pool.service", "StartLimitIntervalSec")).toEqual(["0"]);
  expect(values("gpu-pool.service", "RestartPreventExitStatus")).toEqual(["2"]);
});

it("the cycle has time for its own deadline", () => {
  // The start of a round may take 15 s, the look at another one 15 s, the round 120 s.
  expect(Number.parseInt(values("gpu-pool-cycle.service", "TimeoutStartSec")[0]!, 10)).toBeGreaterThan(150);
});

it("the cycle's timer fits the time that heartbeats may be unseen, and a worker hosts the timers of workers", () => {
  const [, step] = /^\*:\*:00\/(\d+)$/.exec(values("gpu-pool-cycle.timer", "OnCalendar")[0]!)!;
  const [, inExample] = /ORCHESTRATOR_POLL_SEC=(\d+)/.exec(text("settings.env"))!;
  expect(inExample).toBe(step);
  const all = { ...settings, ORCHESTRATOR_POLL_SEC: inExample! };
  expect(
    complaintsAboutCycle(
      SERVICES.map((name) => programOf(name, all)),
      Number(step),
    ),
  ).toEqual([]);
});

const hasAnalyze = hasTool("systemd-analyze", "--version");

describe.skipIf(!hasAnalyze)(`systemd-analyze${without(hasAnalyze, "systemd-analyze")}`, () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "systemd-units-"));
    // It looks whether the programs exist.
    const here = (unit: string) => unit.replaceAll("/usr/bin/node", process.execPath).replaceAll(PROGRAM, "/dev/null");
    for (const name of UNITS) {
      writeFileSync(join(folder, name), here(text(name)));
    }
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  function analyze(...args: string[]) {
    return execa("systemd-analyze", args, { cwd: folder, reject: false, all: true });
  }

  it("finds no unknown key and no bad value", async () => {
    const files = UNITS.map((name) => `./${name}`);
    const { exitCode, all } = await analyze("verify", "--man=no", "--recursive-errors=yes", ...files);
    expect([exitCode, all]).toEqual([0, ""]);
    writeFileSync(join(folder, "typo.service"), text(SERVICES[0]!).replace("DynamicUser", "DynamicUsers"));
    expect((await analyze("verify", "--man=no", "--recursive-errors=yes", "./typo.service")).exitCode).toBe(1);
  });

  it.each(SERVICES)("counts little that %s could do to the machine", async (name) => {
    const threshold = `--threshold=${MOST_EXPOSURE}`;
    const { exitCode, all } = await analyze("security", "--offline=true", "--no-pager", threshold, `./${name}`);
    expect([exitCode, all]).toEqual([0, expect.stringContaining("Overall exposure level")]);
  });
});
