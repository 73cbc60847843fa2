import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseEnv } from "node:util";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { table, variables } from "../../../src/config/variables.ts";
import { composeFile, composePrograms, composeText, type Service, variablesOf } from "../../kit/deployment/compose.ts";
import { complaints, secretsInClear } from "../../kit/deployment/rules.ts";
import { hasTool, without } from "../../kit/deployment/tools.ts";

const FILES = ["compose.yaml", "temporal-cloud.yaml", "tls.yaml"];
const FOLDER = fileURLToPath(new URL("../../../deployment/compose/", import.meta.url));
const schema = JSON.parse(
  readFileSync(new URL("../../vendor/compose/compose-spec.json", import.meta.url), "utf8"),
) as object;
const validate = new Ajv2020({ strict: false, allErrors: true, validateFormats: false }).compile(schema);

const main = composeFile("compose.yaml");
const services = Object.entries(main.services);
const jobs = new Set(["migrate", "bootstrap", "temporal-schema", "temporal-namespace"]);
/** The variables that the images of others read, by the beginning of the image's name. */
const THEIRS: Record<string, readonly string[]> = {
  "postgres:": ["POSTGRES_DB", "POSTGRES_USER", "POSTGRES_PASSWORD_FILE"],
  "postgrest/postgrest:": [
    "PGRST_ADMIN_SERVER_PORT",
    "PGRST_DB_ANON_ROLE",
    "PGRST_DB_EXTRA_SEARCH_PATH",
    "PGRST_DB_MAX_ROWS",
    "PGRST_DB_POOL",
    "PGRST_DB_SCHEMAS",
    "PGRST_DB_TX_END",
    "PGRST_DB_URI",
    "PGRST_JWT_SECRET",
    "PGRST_LOG_LEVEL",
    "PGRST_SERVER_HOST",
    "PGRST_SERVER_PORT",
  ],
  "temporalio/server:": [
    "BIND_ON_IP",
    "DB",
    "DB_PORT",
    "DYNAMIC_CONFIG_FILE_PATH",
    "LOG_LEVEL",
    "NUM_HISTORY_SHARDS",
    "POSTGRES_SEEDS",
    "POSTGRES_USER",
  ],
  "temporalio/admin-tools:": ["SQL_HOST", "SQL_PLUGIN", "SQL_PORT", "SQL_USER"],
  "temporalio/ui:": ["TEMPORAL_ADDRESS", "TEMPORAL_DEFAULT_NAMESPACE"],
};

describe.each(FILES)("%s", (name) => {
  it("is what the Compose specification allows", () => {
    validate(composeFile(name));
    expect(validate.errors ?? []).toEqual([]);
  });

  it("holds no secret, and its variables are those of example.env with the same defaults", () => {
    expect(secretsInClear(name, composeText(name))).toEqual([]);
    const example = parseEnv(composeText("example.env").replaceAll(/^# (?=[A-Z_]+=)/gm, ""));
    const read = [...variablesOf(name)];
    expect(read.map(([variable]) => variable).filter((variable) => !(variable in example))).toEqual([]);
    // The addresses of the profiles' own services hold only with these profiles.
    const shown = read.filter(([, value]) => value !== undefined && !/^(http:\/\/gateway|temporal):/.test(value));
    expect(shown.map(([variable]) => [variable, example[variable]])).toEqual(shown);
  });
});

it("the schema names a misspelt field", () => {
  const { worker } = main.services;
  expect(validate({ services: { worker: { ...worker, mem_limits: "1g" } } })).toBe(false);
  expect(JSON.stringify(validate.errors)).toContain("mem_limits");
});

it("example.env names nothing that no file reads", () => {
  const read = new Set(["COMPOSE_PROFILES", ...FILES.flatMap((name) => [...variablesOf(name).keys()])]);
  const named = [...composeText("example.env").matchAll(/^(?:# )?([A-Z_]+)=/gm)].map(([, name]) => name);
  expect(named.filter((name) => !read.has(name!))).toEqual([]);
});

describe("our own services", () => {
  it("give variables that the program reads, and arguments that it takes", () => {
    const programs = composePrograms("compose.yaml", main);
    expect(programs.map(({ where }) => where.split(": ")[1])).toEqual([
      "worker",
      "migrate",
      "bootstrap",
      "gateway",
      "temporal-namespace",
    ]);
    for (const program of programs) {
      // Its arguments, port and paths are its own: the test below looks at these.
      const isGateway = program.where.endsWith("gateway");
      expect(complaints(isGateway ? { ...program, args: undefined, ports: [], requests: [] } : program)).toEqual([]);
    }
    const [cloud] = composePrograms("temporal-cloud.yaml", {
      services: { worker: { ...main.services["worker"]!, ...composeFile("temporal-cloud.yaml").services["worker"] } },
    });
    expect(complaints({ ...cloud!, ports: [], requests: [] })).toEqual([]);
  });

  it("serve, ask and mount the gateway where it listens", () => {
    const { command, environment, ports, volumes, healthcheck } = main.services["gateway"]!;
    expect(command).toEqual(["gateway"]);
    const { port, host } = table.gateway;
    expect(host.defaultText).toBe("127.0.0.1");
    expect(environment).toMatchObject({ GATEWAY_PORT: port.defaultText, GATEWAY_HOST: "0.0.0.0" });
    expect(ports).toEqual([`127.0.0.1:${port.defaultText}:${port.defaultText}`]);
    expect(healthcheck?.test?.join(" ")).toContain(`http://127.0.0.1:${port.defaultText}/healthz`);
    expect(environment!["SUPABASE_URL"]).toBe(`http://gateway:${port.defaultText}`);
    const { PGRST_SERVER_PORT } = main.services["postgrest"]!.environment!;
    expect(environment!["GATEWAY_POSTGREST_URL"]).toBe(`http://postgrest:${PGRST_SERVER_PORT}`);
    const [, folder = ""] = volumes![0]!.split(":");
    expect(environment!["GATEWAY_STORAGE_DIR"]).toMatch(new RegExp(`^${folder}/`));
  });

  it("get every secret as a file, and each file is one that the service has", () => {
    const secret = variables.filter((each) => each.secret).map(({ name }) => name);
    for (const [name, { environment = {}, secrets = [] }] of services) {
      expect([name, Object.keys(environment).filter((each) => secret.includes(each))]).toEqual([name, []]);
      const used = Object.values(environment).flatMap((value) => /\/run\/secrets\/(\w+)$/.exec(value ?? "")?.[1] ?? []);
      expect([name, used.filter((each) => !secrets.includes(each))]).toEqual([name, []]);
    }
    const declared = Object.keys(main.secrets!);
    expect(declared.toSorted()).toEqual([...new Set(services.flatMap(([, each]) => each.secrets ?? []))].toSorted());
    expect(Object.entries(main.secrets!).map(([name, { file }]) => file === `./secrets/${name}`)).not.toContain(false);
  });
});

describe("every service", () => {
  it.each(services)(
    "%s has a pinned image, limits, a restart policy, and as few rights as it can have",
    (name, service) => {
      const { image, cap_drop, security_opt, pids_limit, mem_limit, logging, restart } = service;
      expect(image).toMatch(/:v?\d+\.\d+(\.\d+)?(-\w+)?$/);
      expect({ cap_drop, security_opt }).toEqual({ cap_drop: ["ALL"], security_opt: ["no-new-privileges:true"] });
      expect(pids_limit).toBeGreaterThan(0);
      expect(mem_limit).toMatch(/^\d+[mg]$/);
      expect(Object.keys(logging?.options ?? {}).toSorted()).toEqual(["max-file", "max-size"]);
      expect(restart).toBe(jobs.has(name) ? "on-failure:5" : "unless-stopped");
      // This image writes its settings into its own folder when it starts.
      expect(service.read_only).toBe(name !== "temporal-ui");
    },
  );

  it("that runs the worker gives it time to end, which a request for a pod may need", () => {
    expect(main.services["worker"]?.stop_grace_period).toBe("40s");
  });

  it("listens on 127.0.0.1 unless a variable says otherwise; Temporal and its Web UI always", () => {
    const ports = services.flatMap(([name, each]) => (each.ports ?? []).map((port) => [name, port] as const));
    expect(ports.map(([name]) => name)).toEqual(["worker", "gateway", "temporal", "temporal-ui"]);
    expect(ports.filter(([, port]) => !port.startsWith("127.0.0.1:"))).toEqual([]);
    expect(composeText("compose.yaml").match(/ports: \["127[^\]]+\]/g)).toEqual([
      'ports: ["127.0.0.1:7233:7233"]',
      'ports: ["127.0.0.1:8233:8080"]',
    ]);
  });

  it("of others has only variables that its image reads", () => {
    const isOurs = (image: string) => image.startsWith("gpu-pool-orchestrator:");
    for (const [name, { image, environment = {} }] of services.filter(([, each]) => !isOurs(each.image))) {
      const known = Object.entries(THEIRS).find(([start]) => image.startsWith(start))?.[1] ?? [];
      expect([name, Object.keys(environment).filter((each) => !known.includes(each))]).toEqual([name, []]);
    }
  });

  it("waits only for services that its own profile brings, or need not exist", () => {
    const profilesOf = (service: Service) => service.profiles ?? [];
    for (const [name, service] of services) {
      for (const [other, { condition, required }] of Object.entries(service.depends_on ?? {})) {
        const waited = main.services[other]!;
        const comesAlong = profilesOf(waited).every((profile) => profilesOf(service).includes(profile));
        expect([name, other, comesAlong || required === false]).toEqual([name, other, true]);
        expect([name, other, condition === "service_completed_successfully"]).toEqual([name, other, jobs.has(other)]);
        expect([name, other, condition !== "service_healthy" || waited.healthcheck?.test !== undefined]).toEqual([
          name,
          other,
          true,
        ]);
      }
    }
  });
});

const compose = hasTool("docker-compose", "version") ? ["docker-compose"] : ["docker", "compose"];
const hasCompose = hasTool(compose[0]!, ...compose.slice(1), "version");

it.skipIf(!hasCompose)(`docker compose reads the files together${without(hasCompose, "docker compose")}`, () => {
  const secrets = mkdtempSync(join(tmpdir(), "compose-secrets-"));
  try {
    for (const name of [...Object.keys(main.secrets!), "temporal_api_key"]) {
      writeFileSync(join(secrets, name), "x");
    }
    const args = [...compose.slice(1), ...FILES.flatMap((name) => ["-f", name])];
    const env = { PATH: process.env["PATH"], SECRETS_FOLDER: secrets, TLS_NAME: "gpu.example.com" };
    const read = (profiles: readonly string[]) =>
      execFileSync(compose[0]!, [...args, ...profiles.flatMap((each) => ["--profile", each]), "config", "--services"], {
        cwd: FOLDER,
        env,
        encoding: "utf8",
      })
        .trim()
        .split("\n")
        .toSorted();
    expect(read(["database", "temporal"])).toEqual([...services.map(([name]) => name), "tls"].toSorted());
  } finally {
    rmSync(secrets, { recursive: true, force: true });
  }
});

it("the script of Temporal's schema is a script", () => {
  expect(() => execFileSync("sh", ["-n", join(FOLDER, "temporal-schema.sh")])).not.toThrow();
});
