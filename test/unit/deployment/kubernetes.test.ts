import { execa } from "execa";
import { existsSync, readdirSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import {
  deploymentText,
  envFile,
  kubernetesPrograms,
  type PodTemplate,
  podTemplate,
  resourcesIn,
} from "../../kit/deployment/files.ts";
import { complaints, complaintsAboutCycle, HEALTH, secretsInClear } from "../../kit/deployment/rules.ts";
import { kubernetesErrors, type Resource } from "../../kit/deployment/schemas.ts";
import { hasTool, without } from "../../kit/deployment/tools.ts";

const ROOT = fileURLToPath(new URL("../../../deployment/", import.meta.url));
const FOLDER = "kubernetes";
/** Not of Kubernetes itself: kustomize's own files, and a resource of the Prometheus operator. */
const OTHERS = new Set([
  "kustomize.config.k8s.io/v1beta1",
  "kustomize.config.k8s.io/v1alpha1",
  "monitoring.coreos.com/v1",
]);
const RENDERED = ["base", "overlays/continuous", "overlays/cron", "overlays/temporal-cloud", "migrate"];

const files = readdirSync(`${ROOT}${FOLDER}`, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".yaml"))
  .map((name) => `${FOLDER}/${name}`)
  .toSorted();
const all = files.flatMap((file) => resourcesIn(deploymentText(file)).map((resource) => ({ file, resource })));
const own = all.filter(({ resource }) => !OTHERS.has(resource.apiVersion ?? ""));
const settings = envFile(`${FOLDER}/base/settings.env`);
const programs = own.flatMap(({ file, resource }) => kubernetesPrograms(file, [resource], settings));
const renderer = [
  ["kustomize", "build"],
  ["kubectl", "kustomize"],
].find(([tool = "", verb = ""]) => hasTool(tool, verb, "--help"));

function find(kind: string, name: string): Resource {
  const found = own.find(({ resource }) => resource.kind === kind && resource.metadata?.name === name)?.resource;
  if (!found) {
    throw new Error(`there is no ${kind} ${name}`);
  }
  return found;
}

function templates(resources: readonly Resource[]): PodTemplate[] {
  return resources.map(podTemplate).filter((each) => each !== null);
}

/** The demands of the pod security level `restricted`, as far as it concerns us, and what we ask for beyond it. */
const RESTRICTED = {
  automountServiceAccountToken: false,
  securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } },
  containers: [
    {
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      },
      resources: { requests: expect.anything(), limits: { memory: expect.any(String) } },
    },
  ],
};

describe("deployment/kubernetes", () => {
  it("has only fields that Kubernetes knows", () => {
    expect(own.length).toBeGreaterThan(10);
    const found = own.flatMap(({ file, resource }) => kubernetesErrors(resource).map((error) => `${file}: ${error}`));
    expect(found).toEqual([]);
  });

  it("has commands, variables, ports and paths of the program, and no secret in clear", () => {
    const commands = programs.map(({ args = [] }) => args.join(" "));
    expect(commands.toSorted()).toEqual(["cycle --json", "db migrate", "run"]);
    expect(programs.flatMap(complaints)).toEqual([]);
    const texts = [...files, `${FOLDER}/base/settings.env`];
    expect(texts.flatMap((file) => secretsInClear(file, deploymentText(file)))).toEqual([]);
  });

  it("has placeholders alone in the example of a Secret, and refers to no key that the example lacks", () => {
    const secrets = own.map(({ resource }) => resource).filter(({ kind }) => kind === "Secret");
    const keys = secrets.flatMap(({ metadata, stringData }) => {
      const values = stringData as Record<string, string>;
      expect(Object.values(values).filter((value) => !/^<.*>$/.test(value))).toEqual([]);
      return Object.keys(values).map((key) => `${metadata?.name}/${key}`);
    });
    const used = templates(own.map(({ resource }) => resource)).flatMap(({ spec }) =>
      (spec.containers[0]?.env ?? []).flatMap(({ name, valueFrom }) => {
        const { name: secret, key } = valueFrom?.secretKeyRef ?? {};
        expect(key).toBe(name);
        return `${secret}/${key}`;
      }),
    );
    expect([...new Set(used)].toSorted()).toEqual(keys.toSorted());
  });

  it("makes pods that fit the level restricted, and that have limits", () => {
    const pods = templates(own.map(({ resource }) => resource));
    expect(pods).toHaveLength(3);
    for (const pod of pods) {
      expect(pod.spec).toMatchObject(RESTRICTED);
    }
    expect(find("Namespace", "gpu-pool")).toHaveProperty(
      ["metadata", "labels", "pod-security.kubernetes.io/enforce"],
      "restricted",
    );
  });

  it("selects the worker's pods for the budget, the Service, the monitor and the network policy", () => {
    const worker = podTemplate(find("Deployment", "gpu-pool-worker"))?.metadata.labels ?? {};
    const selectors = [
      (find("Deployment", "gpu-pool-worker")["spec"] as { selector: { matchLabels: object } }).selector.matchLabels,
      (find("PodDisruptionBudget", "gpu-pool-worker")["spec"] as { selector: { matchLabels: object } }).selector
        .matchLabels,
      (find("Service", "gpu-pool-metrics")["spec"] as { selector: object }).selector,
      (find("NetworkPolicy", "gpu-pool")["spec"] as { podSelector: { matchLabels: object } }).podSelector.matchLabels,
      ...all
        .filter(({ resource }) => resource.kind === "PodMonitor")
        .map(({ resource }) => (resource["spec"] as { selector: { matchLabels: object } }).selector.matchLabels),
    ];
    expect(selectors).toHaveLength(5);
    for (const selector of selectors) {
      expect(worker).toMatchObject(selector);
    }
    // Else a rounds' pod would count as a worker.
    const cycle = podTemplate(find("CronJob", "gpu-pool-cycle"))?.metadata.labels;
    expect(selectors.slice(0, 3).every((selector) => Object.entries(selector).some(([k, v]) => cycle?.[k] !== v))).toBe(
      true,
    );
  });

  it("is scraped as the job that the alert rules name, ready or not", () => {
    const [prometheus] = resourcesIn(deploymentText("monitoring/prometheus.yaml"));
    const [{ job_name: job }] = (prometheus as unknown as { scrape_configs: [{ job_name: string }] }).scrape_configs;
    const monitor = all.find(({ resource }) => resource.kind === "PodMonitor")!.resource;
    const { jobLabel, podMetricsEndpoints } = monitor["spec"] as { jobLabel: string; podMetricsEndpoints: unknown[] };
    const worker = podTemplate(find("Deployment", "gpu-pool-worker"));
    expect(worker?.metadata.labels[jobLabel]).toBe(job);
    expect(podMetricsEndpoints).toMatchObject([{ port: "health", path: "/metrics" }]);
    expect(worker?.spec.containers[0]?.ports).toEqual([{ name: "health", containerPort: HEALTH.port }]);
    const ports = [{ name: "health", port: HEALTH.port, targetPort: "health" }];
    const service = { clusterIP: "None", publishNotReadyAddresses: true, ports };
    expect(find("Service", "gpu-pool-metrics")["spec"]).toMatchObject(service);
  });

  it("gives a worker time to end, which a request for a pod may need", () => {
    expect(podTemplate(find("Deployment", "gpu-pool-worker"))?.spec["terminationGracePeriodSeconds"]).toBe(40);
  });

  it("gives the CronJob's round time for its own deadline, and never two at once", () => {
    const { spec } = find("CronJob", "gpu-pool-cycle") as unknown as {
      spec: { schedule: string; concurrencyPolicy: string; jobTemplate: { spec: Record<string, number> } };
    };
    expect(spec).toMatchObject({ schedule: "* * * * *", concurrencyPolicy: "Forbid" });
    expect(spec.jobTemplate.spec["backoffLimit"]).toBe(0);
    // The start of a round may take 15 s, the round 120 s.
    expect(spec.jobTemplate.spec["activeDeadlineSeconds"]).toBeGreaterThan(140);
  });

  it.each(RENDERED)("names in %s only files that exist", (folder) => {
    const [kustomization] = resourcesIn(deploymentText(`${FOLDER}/${folder}/kustomization.yaml`));
    const { resources = [], components = [] } = kustomization as { resources?: string[]; components?: string[] };
    const missing = [...resources, ...components].filter((path) => !existsSync(`${ROOT}${FOLDER}/${folder}/${path}`));
    expect(missing).toEqual([]);
  });

  it("uses every file", () => {
    const named = files
      .filter((file) => file.endsWith("kustomization.yaml"))
      .flatMap((file) => {
        const [kustomization] = resourcesIn(deploymentText(file));
        const { resources = [] } = kustomization as { resources?: string[] };
        return [file, ...resources.map((path) => `${dirname(file)}/${path}`)];
      });
    const byHand = [`${FOLDER}/pod-monitor.yaml`, `${FOLDER}/secret.example.yaml`];
    expect(files.filter((file) => !named.includes(file))).toEqual(byHand);
  });
});

describe.skipIf(!renderer)(`rendered by kustomize${without(renderer !== undefined, "kustomize or kubectl")}`, () => {
  const rendered = new Map<string, Promise<Resource[]>>();

  function render(folder: string): Promise<Resource[]> {
    const known = rendered.get(folder) ?? build(folder);
    rendered.set(folder, known);
    return known;
  }

  async function build(folder: string): Promise<Resource[]> {
    const [tool = "", verb = ""] = renderer ?? [];
    const { stdout } = await execa(tool, [verb, `${ROOT}${FOLDER}/${folder}`]);
    return resourcesIn(stdout);
  }

  it.each(RENDERED)("%s keeps all of this", async (folder) => {
    const resources = await render(folder);
    expect(resources.flatMap(kubernetesErrors)).toEqual([]);
    expect(kubernetesPrograms(folder, resources).flatMap(complaints)).toEqual([]);
    for (const pod of templates(resources)) {
      expect(pod.spec).toMatchObject(RESTRICTED);
      expect(pod.spec.containers[0]?.image).toMatch(/^gpu-pool-orchestrator:\d+\.\d+\.\d+$/);
    }
    const unplaced = resources.filter(
      ({ kind, metadata }) => kind !== "Namespace" && !("namespace" in (metadata ?? {})),
    );
    expect(unplaced).toEqual([]);
  });

  it("overlays/cron keeps a worker, and looks at the pool as often as it expects", async () => {
    expect(complaintsAboutCycle(kubernetesPrograms("cron", await render("overlays/cron")), 60)).toEqual([]);
  });

  it("overlays/temporal-cloud gives the worker its client certificate", async () => {
    const resources = await render("overlays/temporal-cloud");
    const [worker] = kubernetesPrograms("temporal-cloud", resources);
    const path = worker?.env.find(({ name }) => name === "TEMPORAL_TLS_CLIENT_CERT_PATH")?.value ?? "";
    const mounts = templates(resources)[0]?.spec.containers[0]?.["volumeMounts"];
    expect(mounts).toContainEqual({ name: "temporal-tls", mountPath: dirname(path), readOnly: true });
  });
});
