import { describe, expect, it } from "vitest";
import { variables } from "../../../src/config/variables.ts";
import { startOnFreePort } from "../../../src/dev/servers/free-port.ts";
import { openHealth } from "../../../src/worker/health/health.ts";
import { complaints, complaintsAboutCycle, type Deployed, HEALTH, secretsInClear } from "../../kit/deployment/rules.ts";
import { cloudRunErrors, cloudSchedulerErrors, kubernetesErrors } from "../../kit/deployment/schemas.ts";

const good: Deployed = {
  where: "here",
  image: "registry.example/team/gpu-pool-orchestrator:0.1.0",
  args: ["run", "--pool", "nightly"],
  env: [
    { name: "SUPABASE_URL", value: "https://your-project.supabase.co" },
    { name: "SUPABASE_SERVICE_ROLE_KEY", value: undefined },
    { name: "RUNPOD_API_KEY_FILE", value: "/run/secrets/runpod" },
    { name: "NODE_OPTIONS", value: "--max-old-space-size=256" },
    { name: "HEALTH_PORT", value: "9464" },
    { name: "HEALTH_HOST", value: "0.0.0.0" },
  ],
  ports: [9464],
  requests: [{ path: "/readyz", port: 9464, from: "outside" }],
};

function withVariable(name: string, value: string | undefined): Partial<Deployed> {
  return { env: [...good.env.filter((each) => each.name !== name), { name, value }] };
}

describe("the rules for deployment files", () => {
  it("know the program's port and paths", async () => {
    expect(variables.find(({ name }) => name === "HEALTH_PORT")?.description).toContain(`use ${HEALTH.port}`);
    const host = "127.0.0.1";
    const { port, health } = await startOnFreePort(undefined, async (free) => ({
      port: free,
      health: await openHealth({ host, port: free }),
    }));
    const statuses = await Promise.all(
      [...HEALTH.paths, "/health"].map(async (path) => (await fetch(`http://${host}:${port}${path}`)).status),
    );
    await health.close();
    expect(statuses).toEqual([200, 503, 200, 404]);
  });

  it("find nothing against a good program", () => {
    expect(complaints(good)).toEqual([]);
    for (const args of [
      undefined,
      ["cycle", "--json"],
      ["db", "migrate"],
      ["pool", "start", "--yes"],
      ["config"],
      ["scale", "3", "--for", "1h"],
    ]) {
      expect(complaints({ ...good, args })).toEqual([]);
    }
  });

  it.each<[string, Partial<Deployed>, string]>([
    ["a mistyped variable", withVariable("SUPABASE_URI", "x"), "the program reads no variable SUPABASE_URI"],
    ["another's variable that is not listed", withVariable("PORT", "80"), "the program reads no variable PORT"],
    ["a _FILE of what is no secret", withVariable("SUPABASE_URL_FILE", "/x"), "reads no variable SUPABASE_URL_FILE"],
    ["a wrong value", withVariable("MIN_ACTIVE_GPUS", "two"), "MIN_ACTIVE_GPUS=two: expected a whole number"],
    ["a secret in clear", withVariable("RUNPOD_API_KEY", "abc"), "RUNPOD_API_KEY stands in clear"],
    ["an empty secret", withVariable("TEMPORAL_API_KEY", ""), "TEMPORAL_API_KEY stands in clear"],
    ["a variable given twice", { env: [...good.env, ...good.env.slice(0, 1)] }, "SUPABASE_URL is given twice"],
    ["an image of others", { image: "node:24-slim" }, "node:24-slim is not an image of ours"],
    ["an unknown command", { args: ["single"] }, "gpu-pool single: no command single"],
    ["an unknown command of a group", { args: ["db", "upgrade"] }, "gpu-pool db upgrade: no command upgrade"],
    ["a group alone", { args: ["db"] }, "gpu-pool db: a command is missing"],
    ["no command", { args: [] }, "a command is missing"],
    ["an unknown option", { args: ["cycle", "--once"] }, "gpu-pool cycle --once: no option --once"],
    ["an option without its value", { args: ["run", "--pool"] }, "--pool lacks its value"],
    ["an argument too many", { args: ["run", "main"] }, "gpu-pool run main: takes 0 to 0 arguments, not 1"],
    ["an argument too few", { args: ["scale"] }, "gpu-pool scale: takes 1 to 1 arguments, not 0"],
    ["another port", { ports: [8080] }, "port 8080 is not the program's 9464"],
    ["a probe at another port", { requests: [{ path: "/healthz", port: 80, from: "inside" }] }, "is asked at port 80"],
    ["a probe of another path", { requests: [{ path: "/health", port: 9464, from: "inside" }] }, "serves no /health"],
    ["a probe without the setting", withVariable("HEALTH_PORT", ""), "health is asked for, but HEALTH_PORT is "],
    ["a probe from outside", withVariable("HEALTH_HOST", "127.0.0.1"), "from outside, but HEALTH_HOST is 127.0.0.1"],
  ])("catch %s", (_, fault, complaint) => {
    const found = complaints({ ...good, ...fault });
    expect(found).toHaveLength(1);
    expect(found[0]).toMatch(/^here: /);
    expect(found[0]).toContain(complaint);
  });

  it("catch a cycle without a worker, and one that comes more rarely than a pool is expected to be observed", () => {
    const cycle = { ...good, args: ["cycle"], env: [], requests: [] };
    const polling = (sec: string) => ({ ...good, ...withVariable("ORCHESTRATOR_POLL_SEC", sec) });
    expect(complaintsAboutCycle([polling("60"), cycle], 60)).toEqual([]);
    expect(complaintsAboutCycle([good, cycle], 30)).toEqual([]);
    expect(complaintsAboutCycle([polling("59"), cycle], 60)).toEqual([
      "here: ORCHESTRATOR_POLL_SEC=59 is below the 60 s between two cycles",
    ]);
    expect(complaintsAboutCycle([good, cycle], 60)).toEqual([expect.stringContaining("ORCHESTRATOR_POLL_SEC=30")]);
    expect(complaintsAboutCycle([cycle], 60)).toEqual([expect.stringContaining("gpu-pool run is missing")]);
    expect(complaintsAboutCycle([good], 60)).toEqual(["no program runs gpu-pool cycle"]);
  });

  it("catch keys and passwords in clear, and no placeholders", () => {
    const jwt = ["eyJhbGciOiJIUzI1NiJ9", "eyJyb2xlIjoic2VydmljZV9yb2xlIn0", "c2lnbmF0dXJl"].join(".");
    const secrets = [
      jwt,
      `sb_secret_${"a1".repeat(12)}`,
      `rpa_${"A1".repeat(12)}`,
      "postgresql://postgres:pass@host/db",
    ];
    for (const secret of [...secrets, "-----BEGIN PRIVATE KEY-----"]) {
      expect(secretsInClear("file", `key: ${secret}`)).toEqual([`file: ${secret.slice(0, 12)}… is a secret`]);
    }
    expect(secretsInClear("file", "postgresql://postgres:<password>@host/db sb_secret_… eyJ… <secret key>")).toEqual(
      [],
    );
  });
});

describe("the schemas for deployment files", () => {
  it("name an unknown field, a wrong type and an unknown kind", () => {
    const containers = [{ name: "worker", ports: [{ containerPort: "9464" }] }];
    const spec = { replica: 2, selector: {}, template: { spec: { containers } } };
    expect(kubernetesErrors({ apiVersion: "apps/v1", kind: "Deployment", spec })).toEqual([
      "/spec must NOT have additional properties (replica)",
      "/spec/template/spec/containers/0/ports/0/containerPort must be integer (integer)",
    ]);
    expect(kubernetesErrors({ apiVersion: "v1", kind: "Deployment" })).toEqual(["no schema for v1 Deployment"]);
    const env = [{ name: "A", valueFrom: { secretKeyref: { name: "a", key: "1" } } }];
    const pool = { apiVersion: "run.googleapis.com/v1", kind: "WorkerPool" };
    expect(cloudRunErrors({ ...pool, spec: { template: { spec: { containers: [{ env }] } } } })).toEqual([
      "/spec/template/spec/containers/0/env/0/valueFrom must NOT have additional properties (secretKeyref)",
    ]);
    const metadata = { annotations: { "run.googleapis.com/manualInstances": "2" } };
    expect(cloudRunErrors({ ...pool, metadata })).toEqual([
      "/metadata/annotations run.googleapis.com/manualInstances is no annotation of Cloud Run",
    ]);
    expect(cloudRunErrors({ ...pool, kind: "Workers" })).toEqual(["no schema for run.googleapis.com/v1 Workers"]);
    expect(cloudSchedulerErrors({ schedule: 5, httpTarget: { url: "x" } })).toEqual([
      "/httpTarget must NOT have additional properties (url)",
      "/schedule must be string (string)",
    ]);
  });
});
