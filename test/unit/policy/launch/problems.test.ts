import { describe, expect, it } from "vitest";
import { loadConfig } from "../../../../src/config/config.ts";
import { isPrivateAddress } from "../../../../src/policy/launch/addresses.ts";
import {
  DEFAULT_IMAGE,
  groundProblems,
  type LaunchGround,
  launchProblems,
} from "../../../../src/policy/launch/problems.ts";

const environment = {
  SUPABASE_URL: "https://abc.supabase.co",
  SUPABASE_ANON_KEY: "anon-key-value",
  SUPABASE_SERVICE_ROLE_KEY: "service-key-value",
  RUNPOD_API_KEY: "runpod-key-value",
};
const ground: LaunchGround = {
  apiUrl: "https://api.runpod.io/v2",
  supabaseUrl: "https://abc.supabase.co",
  credential: "token",
  allowPreview: true,
  secrets: { SUPABASE_SERVICE_ROLE_KEY: "service-key-value", REPLICATE_API_TOKEN: undefined, SUPABASE_DB_URL: "short" },
};
const SIMULATOR = { ...ground, apiUrl: "http://127.0.0.1:54390/v2", supabaseUrl: "http://127.0.0.1:54321" };
const VOLUME = { RUNPOD_NETWORK_VOLUME_ID: "vol1" };
const OURS = { WORKER_PROFILE: "gpu-worker", WORKER_ENGINE: "preview" };
const IMAGE = { ...OURS, RUNPOD_WORKER_IMAGE: "mine/gpu-worker:1" };

function problems(env: Record<string, string>, on: LaunchGround = ground) {
  const { launch, placement } = loadConfig({ ...environment, ...env });
  return launchProblems({ ...launch, ...placement }, on);
}
function variables(env: Record<string, string>, on?: LaunchGround): string[] {
  return problems(env, on).map(({ variable }) => variable);
}

describe("settings of pods that cannot work", () => {
  it.each<[string, Record<string, string>]>([
    ["Headless-Wan2GP from a volume", VOLUME],
    ["Headless-Wan2GP by a start command of one's own", { WORKER_START_COMMAND: "exec python /app/worker.py" }],
    ["our program in an image", IMAGE],
    ["our program by a template", { ...OURS, RUNPOD_TEMPLATE_ID: "t1" }],
    ["a custom image with a start command", { WORKER_PROFILE: "custom", WORKER_START_COMMAND: "exec ./run" }],
    ["a custom image with a program", { WORKER_PROFILE: "custom", WORKER_ENTRYPOINT: "./run", WORKER_ARGS: "-v" }],
    ["a start command on a volume", { ...VOLUME, ...IMAGE, WORKER_START_COMMAND: 'cd "$RUNPOD_VOLUME_MOUNT_PATH"' }],
  ])("are none: %s", (_what, env) => {
    expect(problems(env)).toEqual([]);
  });

  it.each<[string, Record<string, string>, string]>([
    ["Headless-Wan2GP without a volume", {}, "RUNPOD_NETWORK_VOLUME_ID"],
    ["our program in the default image", OURS, "RUNPOD_WORKER_IMAGE"],
    ["our program without an engine", { ...IMAGE, WORKER_ENGINE: "" }, "WORKER_ENGINE"],
    ["a custom image whose own program runs", { WORKER_PROFILE: "custom" }, "WORKER_START_COMMAND"],
    ["arguments without a program", { WORKER_PROFILE: "custom", WORKER_ARGS: "-v" }, "WORKER_ARGS"],
    [
      "a start command and a program",
      { WORKER_PROFILE: "custom", WORKER_START_COMMAND: "./a", WORKER_ENTRYPOINT: "./b" },
      "WORKER_START_COMMAND",
    ],
    ["a program of another profile", { ...IMAGE, WORKER_ENTRYPOINT: "./b" }, "WORKER_ENTRYPOINT"],
    [
      "a start command on a volume that is not mounted",
      { ...IMAGE, WORKER_START_COMMAND: 'exec "$RUNPOD_VOLUME_MOUNT_PATH/run"' },
      "RUNPOD_NETWORK_VOLUME_ID",
    ],
    [
      "a secret in the command",
      { ...IMAGE, WORKER_START_COMMAND: "KEY=service-key-value ./run" },
      "WORKER_START_COMMAND",
    ],
    [
      "a secret in an argument",
      { WORKER_PROFILE: "custom", WORKER_ENTRYPOINT: "./run", WORKER_ARGS: '["--key=service-key-value"]' },
      "WORKER_ARGS",
    ],
    [
      "a secret in the worker's arguments",
      { ...VOLUME, HEADLESS_WAN2GP_ARGS: "--k service-key-value" },
      "HEADLESS_WAN2GP_ARGS",
    ],
  ])("are named by their variable: %s", (_what, env, variable) => {
    const found = problems(env);
    expect(found.map((each) => each.variable)).toEqual([variable]);
    expect(found[0]?.message).toMatch(new RegExp(`^${variable}: `));
    expect(found[0]?.message).not.toContain("service-key-value");
  });

  it("include previews where a GPU is rented for them, unless they are allowed", () => {
    const refused = { ...ground, allowPreview: false };
    expect(problems(IMAGE, refused)).toEqual([
      {
        variable: "WORKER_ENGINE",
        message:
          "WORKER_ENGINE: preview runs no model, so a rented GPU would do nothing; set ALLOW_PREVIEW=1 if that is wanted",
      },
    ]);
    expect(problems(IMAGE, { ...SIMULATOR, allowPreview: false })).toEqual([]);
  });

  it("include the service key for Headless-Wan2GP, which sends it to a third party", () => {
    const withKey = { ...ground, credential: "service_role" } as const;
    expect(variables(VOLUME, withKey)).toEqual(["WORKER_CREDENTIAL"]);
    expect(variables(IMAGE, withKey)).toEqual([]);
  });

  it("are fewer in the simulator, whose pods are processes here with a folder for a mount", () => {
    expect(variables({}, SIMULATOR)).toEqual([]);
    expect(variables(OURS, SIMULATOR)).toEqual([]);
    expect(variables({ WORKER_PROFILE: "custom" }, SIMULATOR)).toEqual(["WORKER_START_COMMAND"]);
  });

  it("know the default image", () => {
    expect(loadConfig(environment).launch.workerImage).toBe(DEFAULT_IMAGE);
  });
});

describe("an address that a rented pod cannot reach", () => {
  it.each([
    "http://127.0.0.1:54321",
    "http://localhost:54321",
    "http://LOCALHOST.:54321",
    "http://db.localhost",
    "http://127.1",
    "http://2130706433",
    "http://0x7f.0.0.1",
    "http://0.0.0.0:8000",
    "http://10.1.2.3",
    "https://172.16.0.9",
    "https://172.31.255.1",
    "http://192.168.1.20:8000",
    "http://169.254.1.1",
    "http://100.64.0.1",
    "http://[::1]:54321",
    "http://[fd00::1]",
    "http://[fe80::1]",
    "http://[::ffff:192.168.0.1]",
    "http://kong:8000",
    "http://host.docker.internal:54321",
    "http://box.local",
  ])("%s is refused, by the name of its variable", (supabaseUrl) => {
    const [problem, ...more] = groundProblems({ ...ground, supabaseUrl });
    expect(more).toEqual([]);
    expect(problem).toMatchObject({ variable: "SUPABASE_URL", message: expect.stringContaining(supabaseUrl) });
    expect(groundProblems({ ...SIMULATOR, supabaseUrl })).toEqual([]);
  });

  it.each([
    "https://abc.supabase.co",
    "https://db.example.com:8443",
    "https://172.32.0.1",
    "https://100.128.0.1",
    "https://8.8.8.8",
    "https://[2001:db8::1]",
    "https://localhost.example.com",
  ])("%s is let through", (url) => {
    expect(isPrivateAddress(url)).toBe(false);
  });

  it("is looked at where pods get it: in SUPABASE_PUBLIC_URL, if that is set", () => {
    const inner = { ...ground, supabaseUrl: "http://gateway:54321" };
    expect(groundProblems(inner)[0]?.message).toContain("set SUPABASE_PUBLIC_URL");
    expect(groundProblems({ ...inner, publicUrl: "https://gpu.example.com" })).toEqual([]);
    const [problem] = groundProblems({ ...ground, publicUrl: "http://gateway:54321" });
    expect(problem).toMatchObject({ variable: "SUPABASE_PUBLIC_URL" });
  });

  it("is refused without TLS too, since tokens would be sent in clear text", () => {
    const [problem, ...more] = groundProblems({ ...ground, supabaseUrl: "http://gpu.example.com" });
    expect(more).toEqual([]);
    expect(problem).toMatchObject({ variable: "SUPABASE_URL", message: expect.stringContaining("https") });
    expect(groundProblems({ ...SIMULATOR, supabaseUrl: "http://gpu.example.com" })).toEqual([]);
  });
});
