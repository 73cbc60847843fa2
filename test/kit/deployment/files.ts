import { readFileSync } from "node:fs";
import { parseEnv } from "node:util";
import { parse, parseAllDocuments, type ScalarTag, type CollectionTag } from "yaml";
import type { Deployed, GivenVariable } from "./rules.ts";
import type { Resource } from "./schemas.ts";

const DEPLOYMENT = new URL("../../../deployment/", import.meta.url);

/** @param path below deployment/ */
export function deploymentText(path: string): string {
  return readFileSync(new URL(path, DEPLOYMENT), "utf8");
}

/** All documents of a file, or of what a renderer printed. @throws at YAML that is none */
export function resourcesIn(text: string): Resource[] {
  return parseAllDocuments(text).map((document) => {
    if ("errors" in document && document.errors[0]) {
      throw document.errors[0];
    }
    return (document as { toJS(): Resource }).toJS();
  });
}

/** The variables of a file with lines NAME=value. */
export function envFile(path: string): Record<string, string> {
  return parseEnv(deploymentText(path)) as Record<string, string>;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly {
    name: string;
    value?: string;
    valueFrom?: { secretKeyRef?: { name: string; key: string } };
  }[];
  readonly envFrom?: readonly { configMapRef?: { name: string }; secretRef?: { name: string } }[];
  readonly ports?: readonly { name?: string; containerPort: number }[];
  readonly startupProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly readinessProbe?: Probe;
  readonly [field: string]: unknown;
}

interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string | number };
}

export interface PodTemplate {
  readonly metadata: { readonly labels: Record<string, string> };
  readonly spec: { readonly containers: readonly Container[]; readonly [field: string]: unknown };
}

/** The template of the pods that a resource of Kubernetes makes; null: it makes none. */
export function podTemplate({ kind, spec }: Resource): PodTemplate | null {
  const own = spec as { template?: PodTemplate; jobTemplate?: { spec: { template: PodTemplate } } };
  if (kind === "CronJob") {
    return own.jobTemplate?.spec.template ?? null;
  }
  return kind === "Deployment" || kind === "Job" ? (own.template ?? null) : null;
}

/** @param settings what the map of settings holds, where it is generated and not among the resources. */
export function kubernetesPrograms(
  file: string,
  resources: readonly Resource[],
  settings?: Readonly<Record<string, string>>,
): Deployed[] {
  const maps = resources.filter(({ kind }) => kind === "ConfigMap");
  const valuesOf = (name: string) =>
    (maps.find(({ metadata }) => metadata?.name === name)?.["data"] as Record<string, string> | undefined) ?? settings;
  return resources.flatMap((resource) => {
    const template = podTemplate(resource);
    const where = `${file}: ${resource.kind} ${resource.metadata?.name}`;
    return (template?.spec.containers ?? []).map((container) => {
      const generated = (container.envFrom ?? []).flatMap(({ configMapRef, secretRef }) => {
        const values = configMapRef && valuesOf(configMapRef.name);
        if (secretRef || !values) {
          throw new Error(`${where}: the variables of ${configMapRef?.name ?? secretRef?.name} are not known`);
        }
        return Object.entries(values).map(([name, value]) => ({ name, value }));
      });
      const program = ofContainer(where, container);
      return { ...program, env: [...generated, ...program.env] };
    });
  });
}

/** The containers of a worker pool or a job of Cloud Run, whose fields are those of Kubernetes. */
export function cloudRunPrograms(file: string, { kind, metadata, spec }: Resource): Deployed[] {
  const { template } = spec as { template: { spec: { template?: PodTemplate } } };
  const { containers } = (kind === "Job" ? template.spec.template : (template as unknown as PodTemplate))?.spec ?? {};
  return (containers ?? []).map((each) => ofContainer(`${file}: ${kind} ${metadata?.name}`, each));
}

function ofContainer(where: string, container: Container): Deployed {
  const { image, args, command, env = [], ports = [], startupProbe, livenessProbe, readinessProbe } = container;
  const numberOf = (port: string | number) =>
    typeof port === "number" ? port : (ports.find(({ name }) => name === port)?.containerPort ?? NaN);
  return {
    where,
    image,
    // A command replaces the image's entrypoint, which is gpu-pool.
    args: command === undefined ? args : [...command, ...(args ?? [])],
    env: env.map(({ name, value, valueFrom }): GivenVariable => ({
      name,
      value: valueFrom ? undefined : (value ?? ""),
    })),
    ports: ports.map(({ containerPort }) => containerPort),
    requests: [startupProbe, livenessProbe, readinessProbe].flatMap((probe) =>
      probe?.httpGet
        ? [{ path: probe.httpGet.path, port: numberOf(probe.httpGet.port), from: "outside" as const }]
        : [],
    ),
  };
}

/** A function of CloudFormation, such as `!Ref Image`, as it is written in JSON. */
export interface Intrinsic {
  readonly fn: string;
  readonly of: unknown;
}

interface Template {
  readonly Parameters: Readonly<Record<string, { Default?: string | number }>>;
  readonly Mappings: Readonly<Record<string, Record<string, Record<string, string>>>>;
  readonly Resources: Readonly<
    Record<string, { Type: string; Condition?: string; Properties?: Record<string, unknown> }>
  >;
}

const TAGS = [
  "Ref",
  "Sub",
  "GetAtt",
  "If",
  "Equals",
  "Not",
  "And",
  "Or",
  "FindInMap",
  "Join",
  "Select",
  "Split",
].flatMap((fn): (ScalarTag | CollectionTag)[] => [
  { tag: `!${fn}`, resolve: (of) => ({ fn, of }) satisfies Intrinsic },
  { tag: `!${fn}`, collection: "seq", resolve: (of) => ({ fn, of: (of as { toJSON(): unknown }).toJSON() }) },
]);

export function cloudFormation(text: string): Template {
  return parse(text, { customTags: TAGS }) as Template;
}

interface TaskContainer {
  readonly Name: string;
  readonly Command?: readonly string[];
  readonly Environment?: readonly (Intrinsic | { Name: string; Value: unknown })[];
  readonly Secrets?: readonly (Intrinsic | { Name: string; ValueFrom: unknown })[];
  readonly PortMappings?: readonly { ContainerPort: number }[];
  readonly HealthCheck?: { readonly Command: readonly string[] };
}

/** The containers of a template's task definitions. What only a parameter decides has the parameter's default. */
export function ecsPrograms(file: string, template: Template): Deployed[] {
  return Object.entries(template.Resources).flatMap(([id, { Type, Properties = {} }]) => {
    const containers = Type === "AWS::ECS::TaskDefinition" ? Properties["ContainerDefinitions"] : [];
    return (containers as TaskContainer[]).map((each) => ofTask(`${file}: ${id} ${each.Name}`, each, template));
  });
}

function ofTask(where: string, container: TaskContainer, template: Template): Deployed {
  const { Command, Environment = [], Secrets = [], PortMappings = [], HealthCheck } = container;
  const clear = Environment.flatMap((each) => branches<{ Name: string; Value: unknown }>(each));
  const referred = Secrets.flatMap((each) => branches<{ Name: string; ValueFrom: unknown }>(each));
  const env: GivenVariable[] = [
    ...clear.map(({ Name, Value }) => ({ name: Name, value: valueOf(template, Value) })),
    ...referred.map(({ Name, ValueFrom }) => ({
      name: Name,
      // A parameter or an ARN names the secret; any other text could be the secret itself.
      value: typeof ValueFrom === "string" && !ValueFrom.startsWith("arn:") ? ValueFrom : undefined,
    })),
  ];
  const ports = PortMappings.map(({ ContainerPort }) => ContainerPort);
  return { where, args: Command, env, ports, requests: HealthCheck ? requestsOf(HealthCheck.Command, env) : [] };
}

/** The target of a health check inside a container: the image's own script, or an address in the command. */
export function requestsOf(command: readonly string[], env: readonly GivenVariable[]): Deployed["requests"] {
  const text = command.join(" ");
  const port = Number(env.find(({ name }) => name === "HEALTH_PORT")?.value);
  const ofScript = text.includes("health-check.mjs") ? [{ path: "/healthz", port, from: "inside" as const }] : [];
  const addresses = [...text.matchAll(/http:\/\/[\w.]+:(\d+)(\/\w+)/g)];
  return [...ofScript, ...addresses.map(([, at, path = ""]) => ({ path, port: Number(at), from: "inside" as const }))];
}

/** Both branches of `!If [condition, one, other]`, without AWS::NoValue. */
function branches<T>(value: unknown): T[] {
  if (!isIntrinsic(value)) {
    return [value as T];
  }
  const [, ...either] = value.of as unknown[];
  return value.fn === "If" ? either.flatMap((each) => branches<T>(each)) : [];
}

function isIntrinsic(value: unknown): value is Intrinsic {
  return typeof value === "object" && value !== null && "fn" in value;
}

function valueOf(template: Template, value: unknown): string {
  if (!isIntrinsic(value)) {
    return String(value);
  }
  const of = value.of as unknown[];
  if (value.fn === "If") {
    return valueOf(template, of[1]);
  }
  if (value.fn === "FindInMap") {
    const [map = "", key = "", inner = ""] = of.map((each) => valueOf(template, each));
    return template.Mappings[map]?.[key]?.[inner] ?? "";
  }
  // The default of the parameter; one that has none is given at the deployment.
  return String(template.Parameters[value.of as string]?.Default ?? "");
}
