import { Readable } from "node:stream";
import type { Command } from "commander";
import type { Context } from "../../../src/client/context.ts";
import { openConnections } from "../../../src/client/connections.ts";
import { createProgram } from "../../../src/client/program.ts";
import { createOutput } from "../../../src/client/render/output.ts";
import { complaintAbout, type Variable } from "../../../src/config/kinds.ts";
import { table, variables } from "../../../src/config/variables.ts";

/** One program of a deployment file: a container, a task, a unit. The reader of each format makes these. */
export interface Deployed {
  /** Where it stands, as in `cron/cycle.yaml: CronJob gpu-pool-cycle`. */
  readonly where: string;
  /** Image that the file itself names. */
  readonly image?: string | undefined;
  /** Arguments of `gpu-pool`. Undefined: those of the image, which are `run`. */
  readonly args?: readonly string[] | undefined;
  readonly env: readonly GivenVariable[];
  /** Ports that it is said to listen on. */
  readonly ports: readonly number[];
  /** Requests of health checks and scrapers, from inside the container or from outside. */
  readonly requests: readonly Request[];
}

interface Request {
  readonly path: string;
  readonly port: number;
  readonly from: "inside" | "outside";
}

export interface GivenVariable {
  readonly name: string;
  /** Undefined: the file only refers to a secret store. */
  readonly value: string | undefined;
}

/** Port and paths of the worker process in all our files. */
export const HEALTH = { port: 9464, paths: ["/healthz", "/readyz", "/metrics"] } as const;

/** Variables that others read in the same process: Node, the allocator, Temporal's SDK, OpenTelemetry. */
const OTHERS = new Set([
  "MALLOC_ARENA_MAX",
  "NODE_EXTRA_CA_CERTS",
  "NODE_OPTIONS",
  "OTEL_EXPORTER_OTLP_ENDPOINT",
  "OTEL_EXPORTER_OTLP_HEADERS",
  "TEMPORAL_TLS",
  "TEMPORAL_TLS_CLIENT_CERT_PATH",
  "TEMPORAL_TLS_CLIENT_KEY_PATH",
  "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
  "TEMPORAL_TLS_SERVER_NAME",
]);
/** The variables among them that may hold a secret. */
const OTHERS_SECRET = new Set(["OTEL_EXPORTER_OTLP_HEADERS"]);

const listed = new Map(variables.flatMap((each) => [each.name, ...each.aliases].map((name) => [name, each] as const)));
const kinds = new Map(
  Object.values<Readonly<Record<string, Variable>>>(table).flatMap((group) =>
    Object.values(group).flatMap(({ name, aliases, kind }) => [name, ...aliases].map((each) => [each, kind] as const)),
  ),
);

const OUR_IMAGE = /(^|\/)gpu-pool-(orchestrator|worker)(:[\w.-]+|@sha256:[0-9a-f]{64})?$/;

/** The faults of a program of a deployment file. Each complaint says where. */
export function complaints({ where, image, args, env, ports, requests }: Deployed): string[] {
  const found = [
    ...(image === undefined || OUR_IMAGE.test(image) ? [] : [`${image} is not an image of ours`]),
    ...(args === undefined ? [] : complaintsAboutArgs(args)),
    ...env.flatMap(complaintsAboutVariable),
    ...twice(env.map(({ name }) => name)),
    ...ports.filter((port) => port !== HEALTH.port).map((port) => `port ${port} is not the program's ${HEALTH.port}`),
    ...requests.flatMap(complaintsAboutRequest),
  ];
  const valueOf = (name: string) => env.find((each) => each.name === name)?.value;
  if (requests.length > 0 && valueOf("HEALTH_PORT") !== String(HEALTH.port)) {
    found.push(`health is asked for, but HEALTH_PORT is ${valueOf("HEALTH_PORT") ?? "not set"}`);
  }
  if (requests.some(({ from }) => from === "outside") && valueOf("HEALTH_HOST") !== "0.0.0.0") {
    found.push(`health is asked for from outside, but HEALTH_HOST is ${valueOf("HEALTH_HOST") ?? "not set"}`);
  }
  return found.map((each) => `${where}: ${each}`);
}

/**
 * A cycle decides once and ends; the workers' timers need a process that runs all the time.
 * @param everySec time between two runs of the cycle
 */
export function complaintsAboutCycle(programs: readonly Deployed[], everySec: number): string[] {
  const worker = programs.find(({ args }) => args === undefined || args[0] === "run");
  if (!programs.some(({ args }) => args?.[0] === "cycle")) {
    return ["no program runs gpu-pool cycle"];
  }
  if (worker === undefined) {
    return ["no process hosts the timers of the workers: gpu-pool run is missing"];
  }
  const pollSec =
    worker.env.find(({ name }) => name === "ORCHESTRATOR_POLL_SEC")?.value ?? table.scaling.pollSec.defaultText;
  return Number(pollSec) >= everySec
    ? []
    : [`${worker.where}: ORCHESTRATOR_POLL_SEC=${pollSec} is below the ${everySec} s between two cycles`];
}

function twice(names: readonly string[]): string[] {
  return names.filter((name, at) => names.indexOf(name) !== at).map((name) => `${name} is given twice`);
}

function complaintsAboutRequest({ path, port }: Request): string[] {
  const found = HEALTH.paths.some((each) => each === path) ? [] : [`the program serves no ${path}`];
  return port === HEALTH.port ? found : [...found, `${path} is asked at port ${port}, not ${HEALTH.port}`];
}

function complaintsAboutVariable({ name, value }: GivenVariable): string[] {
  const variable = listed.get(name);
  if (variable === undefined) {
    const ofFile = name.endsWith("_FILE") ? listed.get(name.slice(0, -"_FILE".length)) : undefined;
    const isKnown = OTHERS.has(name) || ofFile?.secret === true;
    const isSecret = OTHERS_SECRET.has(name) && Boolean(value);
    return [
      ...(isKnown ? [] : [`the program reads no variable ${name}`]),
      ...(isSecret ? [`${name} stands in clear`] : []),
    ];
  }
  if (value === undefined) {
    return [];
  }
  if (variable.secret) {
    return [`${name} stands in clear`];
  }
  const kind = kinds.get(name);
  if (kind === undefined || value === "") {
    return [];
  }
  const given = kind.fromText(value);
  const parsed = kind.schema.safeParse(given);
  return parsed.success ? [] : [`${name}=${value}: ${complaintAbout(kind, parsed.error, given)}`];
}

/** Commands with commands of their own that may also be given alone. */
const GROUPS_THAT_ACT = new Set(["config"]);

/** The arguments that would be refused before the command does anything. */
function complaintsAboutArgs(args: readonly string[]): string[] {
  const shown = `gpu-pool ${args.join(" ")}`;
  let command: Command = commandTree();
  const options = [...command.options];
  const rest = [...args];
  let values = 0;
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    const sub =
      values === 0 ? command.commands.find((each) => each.name() === arg || each.aliases().includes(arg)) : null;
    if (sub) {
      command = sub;
      options.push(...sub.options);
    } else if (arg.startsWith("-")) {
      const option = options.find((each) => arg === each.short || arg === each.long);
      if (option === undefined) {
        return [`${shown}: no option ${arg}`];
      }
      if (option.required && rest.shift() === undefined) {
        return [`${shown}: ${arg} lacks its value`];
      }
    } else if (command.commands.length > 0) {
      return [`${shown}: no command ${arg}`];
    } else {
      values += 1;
    }
  }
  const { registeredArguments: wanted, commands } = command;
  const needed = wanted.filter(({ required }) => required).length;
  if (commands.length > 0 && !GROUPS_THAT_ACT.has(command.name())) {
    return [`${shown}: a command is missing`];
  }
  const most = wanted.some(({ variadic }) => variadic) ? Infinity : wanted.length;
  return values < needed || values > most ? [`${shown}: takes ${needed} to ${most} arguments, not ${values}`] : [];
}

function commandTree(): Command {
  const stream = { write: () => undefined };
  const streams = { stdout: stream, stderr: stream };
  const context: Context = {
    env: {},
    output: createOutput(streams, {}),
    connections: openConnections({}),
    stdin: Readable.from([]),
    failed: () => undefined,
  };
  return createProgram(context, "/");
}

/** Texts that only real secrets look like. A placeholder has none of these forms. */
const SECRETS = [
  /\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]+/g,
  /\bsb_secret_\w{10,}/g,
  /\brpa_\w{10,}/g,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/g,
  /\bpostgres(?:ql)?:\/\/[^:@\s]+:(?!<)[^@\s]+@/g,
];

/** Keys and passwords that a file holds in clear, cut so that a report does not show them. */
export function secretsInClear(where: string, text: string): string[] {
  return SECRETS.flatMap((form) =>
    [...text.matchAll(form)].map(([found]) => `${where}: ${found.slice(0, 12)}… is a secret`),
  );
}
