import { describe, expect, it } from "vitest";
import {
  credentialWarning,
  FUSE_MARGIN_SEC,
  makeCredential,
  podRequest,
  problemsOfPods,
  requireWorkablePods,
} from "../../../src/activities/pod-request.ts";
import { type Config, ConfigError, loadConfig } from "../../../src/config/config.ts";
import { readSettings, SettingsError } from "../../../src/gpu-worker/settings.ts";

const credentials = {
  SUPABASE_URL: "https://abc.supabase.co",
  SUPABASE_ANON_KEY: "anon-key-value",
  SUPABASE_SERVICE_ROLE_KEY: "service-key-value",
  RUNPOD_API_KEY: "runpod-key-value",
  WORKER_ENGINE: "preview",
};
const DEPLOYMENT = "6f1c1f8e-5b0a-4c53-9a55-0d6f2b7f3c11";
const CREATED_MS = Date.parse("2030-01-31T12:00:00.500Z");
function podOf(config: Config, timings: Config["timeouts"] = config.timeouts) {
  const settings = { ...config.launch, ...config.placement };
  return podRequest({
    config,
    settings,
    workerEnv: { WORKER_ID: "not-mine", HF_HOME: "/models" },
    place: {
      gpuType: "any",
      cloud: "SECURE",
      dataCenter: null,
      minMemoryGb: 32,
      volumeId: settings.networkVolumeId ?? null,
    },
    deployment: DEPLOYMENT,
    pool: "main",
    id: "main-0a1b2c3d",
    credential: makeCredential(),
    timings,
    nowMs: CREATED_MS,
  });
}
function podEnvironment(config: Config) {
  return podOf(config).env;
}
const usualPod = podEnvironment(loadConfig(credentials));

/** The pod's environment for this configuration; null: the configuration is refused. */
function configured(name: string, value: string): NodeJS.ProcessEnv | null {
  try {
    return podEnvironment(loadConfig({ ...credentials, [name]: value }));
  } catch (error) {
    if (error instanceof ConfigError) {
      return null;
    }
    throw error;
  }
}

function isAccepted(env: NodeJS.ProcessEnv): boolean {
  try {
    readSettings(env);
    return true;
  } catch (error) {
    if (error instanceof SettingsError) {
      return false;
    }
    throw error;
  }
}

/** A number that is accepted, with the lowest and the highest one that are. */
function range(accepts: (value: number) => boolean, middle: number): [number, number] {
  const edge = (accepted: number, refused: number): number => {
    const between = Math.trunc((accepted + refused) / 2);
    if (between === accepted || between === refused) {
      return accepted;
    }
    return accepts(between) ? edge(between, refused) : edge(accepted, between);
  };
  return [edge(middle, -1), edge(middle, 1_000_000_000)];
}

it("a process whose pods could not reach its database is refused, by the name of the variable, where pods are rented", () => {
  const local = { ...credentials, SUPABASE_URL: "http://127.0.0.1:54321" };
  expect(() => requireWorkablePods(loadConfig(local))).toThrow(/SUPABASE_URL=http:\/\/127.0.0.1:54321: a rented pod/);
  const simulator = loadConfig({ ...local, RUNPOD_API_URL: "http://127.0.0.1:54390/v2" });
  expect(requireWorkablePods(simulator)).toBe(simulator);
});

describe("a pod's environment", () => {
  it("invariant 15: names the instant of the pod's end, after the worker's rotation, last task and deletion", () => {
    const config = loadConfig(credentials);
    const { env } = podOf(config, { ...config.timeouts, workerMaxLifetimeSec: 3_600, gracefulShutdownTimeoutSec: 60 });
    expect(env["WORKER_MAX_LIFETIME_SEC"]).toBe("3600");
    expect(env["POD_ENDS_AT"]).toBe("2030-01-31T13:06:00.500Z");
    expect(FUSE_MARGIN_SEC).toBe(300);
  });

  it("names the project's public address, where the Temporal worker itself uses another", () => {
    const inner = { ...credentials, SUPABASE_URL: "http://gateway:54321" };
    const env = podEnvironment(loadConfig({ ...inner, SUPABASE_PUBLIC_URL: "https://gpu.example.com/" }));
    expect(env["SUPABASE_URL"]).toBe("https://gpu.example.com");
    expect(env["OLD_WORKER_URL"]).toMatch(/^https:\/\/gpu\.example\.com\/functions\/v1\/old-worker\//);
    expect(JSON.stringify(env)).not.toContain("gateway");
  });

  it("also holds what the pool's settings add, which replaces nothing of ours", () => {
    expect(usualPod).toMatchObject({ HF_HOME: "/models", WORKER_ID: "main-0a1b2c3d" });
  });

  it("is enough for a fuse together with what the provider injects, and never holds the account's key", () => {
    const ofPool = configured("RUNPOD_API_URL", "http://127.0.0.1:54390/v2/") ?? {};
    expect(Object.values(ofPool)).not.toContain(credentials.RUNPOD_API_KEY);
    expect(readSettings({ ...ofPool, RUNPOD_POD_ID: "x1y2z3", RUNPOD_API_KEY: "key-of-the-pod" }).fuse).toEqual({
      endsAtMs: CREATED_MS + (86_400 + 600 + FUSE_MARGIN_SEC) * 1000,
      podId: "x1y2z3",
      apiKey: "key-of-the-pod",
      apiUrl: "http://127.0.0.1:54390/v2",
    });
  });

  it("invariant 10: holds a token of the worker's own and the public key, and the service key only if that is configured", () => {
    expect(usualPod).toMatchObject({
      WORKER_TOKEN: expect.stringMatching(/^gpw_/),
      SUPABASE_ANON_KEY: "anon-key-value",
    });
    expect(Object.values(usualPod)).not.toContain(credentials.SUPABASE_SERVICE_ROLE_KEY);
    // A worker of the old protocol knows one URL, which carries a secret of its own for the heartbeats.
    const secret = /^https:\/\/abc\.supabase\.co\/functions\/v1\/old-worker\/(gpb_[\w-]{43})$/.exec(
      usualPod["OLD_WORKER_URL"]!,
    )?.[1];
    expect(secret).toBeDefined();
    expect(usualPod["WORKER_TOKEN"]).not.toContain(secret!.slice(4));
    expect(credentialWarning(loadConfig(credentials))).toBeNull();
  });

  it("invariant 10: never holds the service key with Headless-Wan2GP, whatever the credential, and no secret is in its command", () => {
    const env = {
      ...credentials,
      WORKER_CREDENTIAL: "service_role",
      RUNPOD_NETWORK_VOLUME_ID: "vol1",
      WORKER_ENV: "A=b",
    };
    const request = podOf(loadConfig(env));
    expect(JSON.stringify(request)).not.toContain(credentials.SUPABASE_SERVICE_ROLE_KEY);
    expect(request.env["WORKER_TOKEN"]).toMatch(/^gpw_/);
    const command = JSON.stringify([request.entrypoint, request.cmd]);
    const secrets = [request.env["WORKER_TOKEN"], request.env["OLD_WORKER_URL"], credentials.SUPABASE_ANON_KEY];
    expect(secrets.filter((secret) => secret === undefined || command.includes(secret))).toEqual([]);
    expect(request).toMatchObject({ entrypoint: ["/bin/sh", "-c"], mounts: { network: [{ volumeId: "vol1" }] } });
  });

  it("holds only the service key for a worker of the old kind, under the names that it knows; a warning says so", () => {
    const config = loadConfig({ ...credentials, WORKER_CREDENTIAL: "service_role", WORKER_PROFILE: "custom" });
    const env = podEnvironment(config);
    expect(env).toMatchObject({
      WORKER_ID: "main-0a1b2c3d",
      SUPABASE_URL: credentials.SUPABASE_URL,
      SUPABASE_SERVICE_ROLE_KEY: credentials.SUPABASE_SERVICE_ROLE_KEY,
      SUPABASE_VIDEO_BUCKET: "videos",
      POSTGRES_TABLE_NAME: "tasks",
    });
    expect(Object.keys(env)).not.toContain("WORKER_TOKEN");
    expect(Object.keys(env)).not.toContain("SUPABASE_ANON_KEY");
    expect(Object.keys(env)).not.toContain("OLD_WORKER_URL");
    expect(readSettings(env)).toMatchObject({ workerToken: null, supabaseKey: credentials.SUPABASE_SERVICE_ROLE_KEY });
    expect(credentialWarning(config)).toMatch(/^WORKER_CREDENTIAL=service_role: every pod gets the service key/);
    expect(credentialWarning(config)).not.toContain(credentials.SUPABASE_SERVICE_ROLE_KEY);
  });

  it("lets previews run where a GPU is paid for only if this process allows it, which its pods are told", () => {
    const env = { ...credentials, WORKER_PROFILE: "gpu-worker", RUNPOD_WORKER_IMAGE: "mine/gpu-worker:1" };
    const [refusing, allowing] = [loadConfig(env), loadConfig({ ...env, ALLOW_PREVIEW: "1" })];
    const variables = (config: Config) =>
      problemsOfPods(config, { ...config.launch, ...config.placement }).map(({ variable }) => variable);
    expect([variables(refusing), variables(allowing)]).toEqual([["WORKER_ENGINE"], []]);
    expect([podEnvironment(refusing)["ALLOW_PREVIEW"], podEnvironment(allowing)["ALLOW_PREVIEW"]]).toEqual([
      undefined,
      "1",
    ]);
    expect(isAccepted({ ...podEnvironment(refusing), RUNPOD_POD_ID: "x1y2z3" })).toBe(false);
    expect(isAccepted({ ...podEnvironment(allowing), RUNPOD_POD_ID: "x1y2z3" })).toBe(true);
  });

  it("has one of two credentials; any other value is refused, and the variable is named", () => {
    expect(() => loadConfig({ ...credentials, WORKER_CREDENTIAL: "none" })).toThrow(
      /WORKER_CREDENTIAL=none: .*token, service_role/,
    );
  });

  it.each([
    ["WORKER_HEARTBEAT_MS", 20_000, "heartbeatMs"],
    ["WORKER_POLL_MS", 1_000, "pollMs"],
    ["WORKER_MAX_LIFETIME_SEC", 86_400, "maxLifetimeSec"],
  ] as const)("has one range of %s on both sides", (name, usual, setting) => {
    const ofPool = range((value) => configured(name, String(value)) !== null, usual);
    const ofWorker = range((value) => isAccepted({ ...usualPod, [name]: String(value) }), usual);
    expect(ofPool).toEqual(ofWorker);
    for (const value of ofPool) {
      expect(readSettings(configured(name, String(value)) ?? {})[setting]).toBe(value);
    }
  });

  it.each([
    ["SUPABASE_VIDEO_BUCKET", ["videos", "My_clips.v2-x", "7", "my clips", "a/b", "clips%20", "vidéos", "a\tb"]],
    ["WORKER_ENGINE", ["preview", "PREVIEW", "wan2gp", "none"]],
    ["DB_TYPE", ["supabase", "Supabase", "postgres"]],
    ["POSTGRES_TABLE_NAME", ["tasks", "jobs"]],
    ["RUNPOD_API_URL", ["http://127.0.0.1:54390/v2/", "https://api.runpod.io/v2", "ftp://x.example", "x.example"]],
    ["SUPABASE_URL", ["http://127.0.0.1:54321/", "https://x.example/base", "ftp://x.example", "x.example"]],
  ])("is refused by the pool where a worker would refuse it: %s", (name, values) => {
    for (const value of values) {
      const env = configured(name, value);
      const isUsable = isAccepted(env ?? { ...usualPod, [name]: value });
      expect({ value, pool: env !== null }).toEqual({ value, pool: isUsable });
    }
  });
});
