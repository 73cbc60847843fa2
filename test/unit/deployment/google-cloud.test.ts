import { describe, expect, it } from "vitest";
import { cloudRunPrograms, deploymentText, resourcesIn } from "../../kit/deployment/files.ts";
import { complaints, complaintsAboutCycle, secretsInClear } from "../../kit/deployment/rules.ts";
import { cloudRunErrors, cloudSchedulerErrors } from "../../kit/deployment/schemas.ts";

const FILES = ["google/worker-pool.yaml", "google/cycle-job.yaml", "google/migrate-job.yaml"];
const resources = FILES.flatMap((file) => resourcesIn(deploymentText(file)).map((resource) => ({ file, resource })));
const programs = resources.flatMap(({ file, resource }) => cloudRunPrograms(file, resource));
const scheduler = JSON.parse(deploymentText("google/scheduler.json")) as {
  readonly schedule: string;
  readonly httpTarget: { readonly uri: string };
};

describe("deployment/google", () => {
  it("has only what the APIs know", () => {
    expect(resources.map(({ resource }) => resource.kind)).toEqual(["WorkerPool", "Job", "Job"]);
    expect(resources.flatMap(({ resource }) => cloudRunErrors(resource))).toEqual([]);
    expect(cloudSchedulerErrors(scheduler)).toEqual([]);
  });

  it("has commands, variables, ports and paths of the program, and no secret in clear", () => {
    expect(programs.map(({ args }) => args?.join(" "))).toEqual(["run", "cycle --json", "db migrate"]);
    expect(programs.flatMap(complaints)).toEqual([]);
    expect([...FILES, "google/scheduler.json"].flatMap((file) => secretsInClear(file, deploymentText(file)))).toEqual(
      [],
    );
  });

  it("starts the job of the cycle, which comes at most as often as the pool expects to be observed", () => {
    const minutes = Number(/^\*\/(\d+) \* \* \* \*$/.exec(scheduler.schedule)?.[1]);
    const atSuchTimes = programs.map((program) => ({
      ...program,
      // As the page says for the cycle.
      env: program.env.map((each) => (each.name === "ORCHESTRATOR_POLL_SEC" ? { ...each, value: "120" } : each)),
    }));
    expect(complaintsAboutCycle(atSuchTimes, minutes * 60)).toEqual([]);
    expect(scheduler.httpTarget.uri).toMatch(/\/jobs\/gpu-pool-cycle:run$/);
    expect(resources.map(({ resource }) => resource.metadata?.name)).toContain("gpu-pool-cycle");
  });

  it("gives each instance the least memory that Cloud Run takes for worker pools, or more", () => {
    const limits = resources.map(({ resource }) => /"memory":"(\d+)Mi"/.exec(JSON.stringify(resource))?.[1]);
    expect(limits.map(Number).every((mebibytes) => mebibytes >= 512)).toBe(true);
  });
});
