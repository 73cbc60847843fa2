import { ConfigError, loadConfig } from "../../../config/config.ts";
import { settingsInForce } from "../../../config/settings-in-force.ts";
import { problemsOfPods } from "../../../activities/pod-request.ts";
import { createRunpodClient } from "../../../runpod/client.ts";
import { poolStore } from "../../../supabase/pool-store.ts";
import type { Context } from "../../context.ts";
import { checkDatabase } from "../../doctor/database.ts";
import { failed, type Finding, type FindingState, ok, reasonOf } from "../../doctor/finding.ts";
import { checkFunctions } from "../../doctor/functions.ts";
import { checkProcesses } from "../../doctor/processes.ts";
import { checkProvider } from "../../doctor/provider.ts";
import type { Subject } from "../../doctor/subject.ts";
import { checkTemporal } from "../../doctor/temporal.ts";
import { spawnTestWith } from "../../doctor/spawn-test.ts";
import { createTestTask } from "../../doctor/test-task.ts";
import type { PoolOptions } from "../../options.ts";
import { poolName } from "../../pool-name.ts";
import { plain, type Style } from "../../render/output.ts";
import { counted } from "../../render/rows.ts";

const CHECK_WIDTH = 18;
const MARKS = {
  ok: ["green", "ok"],
  warning: ["yellow", "warning"],
  failed: ["red", "failed"],
  skipped: ["dim", "skipped"],
} as const satisfies Record<FindingState, readonly [string, string]>;

export interface DoctorOptions extends PoolOptions {
  readonly createTask?: boolean;
  readonly spawnTest?: boolean;
  readonly yes?: boolean;
}

/** Looks at everything that a pool needs. It rents nothing, unless the spawn test is asked for. Exit code 1 when any check failed. */
export async function runDoctor(context: Context, options: DoctorOptions): Promise<void> {
  const { output } = context;
  const findings: Finding[] = [];
  const report = (found: readonly Finding[]) => {
    findings.push(...found);
    if (options.json !== true) {
      output.print(found.flatMap((finding) => renderFinding(finding, output.style)));
    }
  };
  const config = readConfig(context, report);
  if (config !== null) {
    const checks = [
      ...CHECKS,
      ...(options.createTask === true ? [createTestTask] : []),
      ...(options.spawnTest === true ? [spawnTestWith(options.yes === true)] : []),
    ];
    await examine(context, poolName(context, options), config, checks, report);
  }
  const count = (state: FindingState) => findings.filter((finding) => finding.state === state).length;
  const summary = { ok: count("ok"), warnings: count("warning"), failed: count("failed"), skipped: count("skipped") };
  if (options.json) {
    output.printJson({ summary, findings });
  } else {
    output.print([
      "",
      `${summary.failed} failed, ${counted(summary.warnings, "warning", "warnings")}, ${summary.ok} ok`,
    ]);
  }
  if (summary.failed > 0) {
    context.failed();
  }
}

type Check = (subject: Subject) => Promise<Finding[]>;
const CHECKS: readonly Check[] = [checkDatabase, checkFunctions, checkTemporal, checkProcesses, checkProvider];

type Report = (found: readonly Finding[]) => void;

function readConfig({ env }: Context, report: Report): Subject["config"] | null {
  try {
    const config = loadConfig(env);
    report([ok("environment", "every variable is readable")]);
    return config;
  } catch (error) {
    if (!(error instanceof ConfigError)) {
      throw error;
    }
    report(
      error.problems.map(({ message }) => failed("environment", message, "Set it; .env.example lists all variables.")),
    );
    return null;
  }
}

async function examine(
  context: Context,
  pool: string,
  config: Subject["config"],
  checks: readonly Check[],
  report: Report,
): Promise<void> {
  const { apiUrl, apiKey, timeoutMs } = config.runpod;
  const database = await context.connections.database();
  const runpod = createRunpodClient({ apiUrl, apiKey, timeoutMs, userAgent: "gpu-pool" });
  try {
    const stored = await poolStore(database)
      .find(pool)
      .catch(() => null);
    const settings = settingsInForce(config, stored?.environment ?? {}, stored?.own ?? {});
    const subject: Subject = { context, config, database, runpod, pool, settings, isStored: stored !== null };
    report(checkLaunch(subject));
    for (const check of checks) {
      report(await check(subject));
    }
  } finally {
    await runpod.close();
  }
}

/** Settings with which no pod could work. */
function checkLaunch({ config, settings, pool, isStored }: Subject): Finding[] {
  const source = isStored ? `the settings of pool ${pool}` : `this environment (pool ${pool} was never started)`;
  try {
    const problems = problemsOfPods(config, settings);
    return problems.length === 0
      ? [ok("launch", `profile ${settings.workerProfile}, image ${settings.workerImage}, by ${source}`)]
      : problems.map(({ variable, message }) =>
          failed(
            "launch",
            message,
            isStored ? `gpu-pool config shows where ${variable} comes from` : `Set ${variable}.`,
          ),
        );
  } catch (error) {
    return [failed("launch", reasonOf(error), "gpu-pool config shows the pool's settings.")];
  }
}

function renderFinding({ check, state, detail, remedy }: Finding, style: Style): string[] {
  const [colour, word] = MARKS[state];
  const head = `${style(colour, word.padEnd(8))}${check.padEnd(CHECK_WIDTH)}${plain(detail)}`;
  return remedy === null ? [head] : [head, `${" ".repeat(8 + CHECK_WIDTH)}→ ${plain(remedy)}`];
}
