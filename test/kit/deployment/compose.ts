import { readFileSync } from "node:fs";
import { parse } from "yaml";
import type { Deployed } from "./rules.ts";

const FOLDER = new URL("../../../deployment/compose/", import.meta.url);

/** The parts of a service that our rules look at. */
export interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly user?: string;
  readonly restart?: string;
  readonly read_only?: boolean;
  readonly tmpfs?: readonly string[];
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly pids_limit?: number;
  readonly mem_limit?: string;
  readonly logging?: { readonly options?: Readonly<Record<string, string>> };
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly environment?: Readonly<Record<string, string | null>>;
  readonly secrets?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string; readonly required?: boolean }>>;
  readonly profiles?: readonly string[];
  readonly stop_grace_period?: string;
}

export interface ComposeFile {
  readonly services: Readonly<Record<string, Service>>;
  readonly secrets?: Readonly<Record<string, { readonly file: string }>>;
  readonly volumes?: Readonly<Record<string, unknown>>;
}

/** @param name below deployment/compose/ */
export function composeText(name: string): string {
  return readFileSync(new URL(name, FOLDER), "utf8");
}

/** A file as it is without any variable: each has its default, and a required one its own name in small letters. */
export function composeFile(name: string): ComposeFile {
  return parse(withDefaults(composeText(name)), { merge: true }) as ComposeFile;
}

const VARIABLE = /\$\{([A-Z_]+)(?:(:[-?])([^}]*))?\}/g;

function withDefaults(text: string): string {
  return text
    .replaceAll(VARIABLE, (_all, name: string, kind: string, value: string) =>
      kind === ":-" ? value : name.toLowerCase(),
    )
    .replaceAll("$$", "$");
}

/** The variables of a file by name, each with its default; undefined where it has none. */
export function variablesOf(name: string): Map<string, string | undefined> {
  return new Map(
    [...composeText(name).matchAll(VARIABLE)].map(([, variable = "", kind, value]) => [
      variable,
      kind === ":-" ? value : undefined,
    ]),
  );
}

/** The services that run our image, as the rules for all formats see them. */
export function composePrograms(file: string, { services }: ComposeFile): Deployed[] {
  return Object.entries(services)
    .filter(([, { image }]) => image.startsWith("gpu-pool-"))
    .map(([name, { image, command, environment = {}, ports = [], healthcheck }]) => ({
      where: `${file}: ${name}`,
      image,
      args: command,
      env: Object.entries(environment).map(([variable, value]) => ({ name: variable, value: value ?? "" })),
      ports: ports.map((each) => Number(each.split(":").at(-1))),
      requests: [...(healthcheck?.test?.join(" ").matchAll(/http:\/\/127\.0\.0\.1:(\d+)(\/\w+)/g) ?? [])].map(
        ([, port, path = ""]) => ({ port: Number(port), path, from: "inside" as const }),
      ),
    }));
}
