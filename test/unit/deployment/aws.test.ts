import { execa } from "execa";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { startOnFreePort } from "../../../src/dev/servers/free-port.ts";
import { openHealth } from "../../../src/worker/health/health.ts";
import { cloudFormation, deploymentText, ecsPrograms } from "../../kit/deployment/files.ts";
import { complaints, complaintsAboutCycle, secretsInClear } from "../../kit/deployment/rules.ts";
import { hasTool, without } from "../../kit/deployment/tools.ts";

const FILE = "aws/gpu-pool.yaml";
const template = cloudFormation(deploymentText(FILE));
const programs = ecsPrograms(FILE, template);
const hasCfnLint = hasTool("cfn-lint", "--version");

function containers(): Record<string, unknown>[] {
  return Object.values(template.Resources).flatMap(
    ({ Properties }) => (Properties?.["ContainerDefinitions"] as Record<string, unknown>[] | undefined) ?? [],
  );
}

describe("deployment/aws", () => {
  it("has commands, variables, ports and paths of the program, and no secret in clear", () => {
    expect(programs.map(({ args }) => args?.join(" "))).toEqual(["run", "cycle --json", "db migrate"]);
    expect(programs[0]?.requests).toEqual([{ path: "/healthz", port: 9464, from: "inside" }]);
    // A parameter without a default is given at the deployment.
    const given = programs.map((program) => ({ ...program, env: program.env.filter(({ value }) => value !== "") }));
    expect(given.flatMap(complaints)).toEqual([]);
    expect(secretsInClear(FILE, deploymentText(FILE))).toEqual([]);
  });

  it("finds a secret in clear where a template refers to none", () => {
    const text = deploymentText(FILE).replace("ValueFrom: !Ref RunpodApiKeyArn", "ValueFrom: my-key");
    expect(ecsPrograms(FILE, cloudFormation(text)).flatMap(complaints)).toContain(
      `${FILE}: WorkerTask worker: RUNPOD_API_KEY stands in clear`,
    );
  });

  it("starts a cycle at most as often as the pool expects to be observed, whatever interval is chosen", () => {
    const { Rounds = {} } = template.Mappings;
    expect(Object.keys(Rounds).length).toBeGreaterThan(3);
    for (const [minutes, { Rate, PollSec }] of Object.entries(Rounds)) {
      expect(Rate).toBe(minutes === "1" ? "rate(1 minute)" : `rate(${minutes} minutes)`);
      expect(Number(PollSec)).toBe(Number(minutes) * 60);
    }
    expect(complaintsAboutCycle(programs, Number(template.Parameters["CycleMinutes"]?.Default) * 60)).toEqual([]);
    expect(template.Resources["Service"]).not.toHaveProperty("Condition");
  });

  it("asks for health by a command that succeeds only while the process serves", async () => {
    const checks = containers().flatMap(({ HealthCheck }) =>
      HealthCheck ? [HealthCheck as { Command: string[] }] : [],
    );
    expect(checks).toHaveLength(1);
    const [cmd, ...command] = checks.flatMap(({ Command }) => Command);
    expect(cmd).toBe("CMD");
    // The image has the repository's folders in its working directory.
    const cwd = fileURLToPath(new URL("../../..", import.meta.url));
    await startOnFreePort(undefined, async (port) => {
      const [program = "", ...args] = command;
      const env = { HEALTH_PORT: String(port), HEALTH_HOST: "0.0.0.0" };
      const ask = async () => (await execa(program, args, { cwd, env, reject: false })).exitCode;
      const health = await openHealth({ host: "127.0.0.1", port });
      const served = await ask();
      await health.close();
      expect([served, await ask()]).toEqual([0, 1]);
    });
  });

  it("lets no container be root, write files or gain rights, and gives a worker time to end", () => {
    expect(containers()).toHaveLength(3);
    // A request for a pod may take 30 s and is never cut off.
    expect(containers()[0]).toMatchObject({ Name: "worker", StopTimeout: 40 });
    for (const container of containers()) {
      expect(container).toMatchObject({
        User: "1000:1000",
        ReadonlyRootFilesystem: true,
        LinuxParameters: { Capabilities: { Drop: ["ALL"] } },
      });
    }
  });

  it.skipIf(!hasCfnLint)(
    `passes cfn-lint without findings${without(hasCfnLint, "cfn-lint")}`,
    async () => {
      const path = fileURLToPath(new URL(`../../../deployment/${FILE}`, import.meta.url));
      const { all, exitCode } = await execa("cfn-lint", ["--include-checks", "I", "--", path], {
        all: true,
        reject: false,
      });
      expect({ all, exitCode }).toEqual({ all: "", exitCode: 0 });
    },
    120_000,
  );
});
