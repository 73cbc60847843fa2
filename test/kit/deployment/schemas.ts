import { readFileSync } from "node:fs";
import { Ajv2020, type ErrorObject } from "ajv/dist/2020.js";

/** A resource of Kubernetes or Cloud Run. */
export interface Resource {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata?: { readonly name?: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly [field: string]: unknown;
}

interface Definitions {
  /** Names of annotations that the API's descriptions mention. */
  readonly "x-annotations": readonly string[];
  readonly $defs: Readonly<Record<string, { "x-kubernetes-group-version-kind"?: readonly GroupVersionKind[] }>>;
}

interface GroupVersionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** Compiles a definition when it is first asked for, and each only once. */
const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });

const kubernetes = load("kubernetes/schemas.json");

/** The complaints of Kubernetes' strict schema about a resource: unknown fields, wrong types. */
export function kubernetesErrors(resource: Resource): string[] {
  const { apiVersion = "", kind = "" } = resource;
  const [version = "", group = ""] = apiVersion.split("/").toReversed();
  const found = Object.entries(kubernetes.$defs).find(([, definition]) =>
    definition["x-kubernetes-group-version-kind"]?.some(
      (each) => each.group === group && each.version === version && each.kind === kind,
    ),
  );
  return found ? errors("kubernetes/schemas.json", found[0], resource) : [`no schema for ${apiVersion} ${kind}`];
}

/** The complaints of Cloud Run's API description about a worker pool or a job. */
export function cloudRunErrors(resource: Resource): string[] {
  const { apiVersion = "", kind = "", metadata } = resource;
  if (apiVersion !== "run.googleapis.com/v1" || (kind !== "WorkerPool" && kind !== "Job")) {
    return [`no schema for ${apiVersion} ${kind}`];
  }
  const { "x-annotations": known } = load("google-cloud/run.json");
  const strange = Object.keys(metadata?.annotations ?? {}).filter((name) => !known.includes(name));
  const unknown = strange.map((name) => `/metadata/annotations ${name} is no annotation of Cloud Run`);
  return [...unknown, ...errors("google-cloud/run.json", kind, resource)];
}

/** The complaints of Cloud Scheduler's API description about a job. */
export function cloudSchedulerErrors(job: unknown): string[] {
  return errors("google-cloud/scheduler.json", "Job", job);
}

function load(file: string): Definitions {
  const text = readFileSync(new URL(`../../vendor/${file}`, import.meta.url), "utf8");
  return JSON.parse(text) as Definitions;
}

function errors(file: string, definition: string, value: unknown): string[] {
  if (!ajv.getSchema(file)) {
    ajv.addSchema({ ...load(file) }, file);
  }
  const validate = ajv.getSchema(`${file}#/$defs/${definition}`);
  if (!validate) {
    throw new Error(`${file} has no definition ${definition}`);
  }
  return validate(value) ? [] : (validate.errors ?? []).map(describeError);
}

function describeError({ instancePath, message = "", params }: ErrorObject): string {
  const detail = Object.values(params as Record<string, unknown>).join(", ");
  return `${instancePath || "/"} ${message} (${detail})`;
}
