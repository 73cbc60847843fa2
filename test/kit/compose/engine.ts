import { execa } from "execa";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const TOOLS = ["dockerd", "docker", "unshare", "nsenter", "ip", "iptables", "curl"];
const START_TIMEOUT_MS = 60_000;
const POLL_MS = 200;

/** The command of Docker Compose here; null: there is none. */
async function composeCommand(): Promise<readonly string[] | null> {
  for (const command of [["docker-compose"], ["docker", "compose"]]) {
    const [program = "", ...args] = command;
    if (!(await execa(program, [...args, "version"], { reject: false })).failed) {
      return command;
    }
  }
  return null;
}

/** Why compose.yaml cannot be brought up here; null: it can. */
export async function whyNoCompose(): Promise<string | null> {
  const missing: string[] = [];
  for (const tool of TOOLS) {
    if ((await execa("sh", ["-c", `command -v ${tool}`], { reject: false })).failed) {
      missing.push(tool);
    }
  }
  if ((await composeCommand()) === null) {
    missing.push("docker compose");
  }
  return missing.length > 0 ? `needs ${missing.join(", ")}` : null;
}

export interface Docker {
  docker(args: readonly string[], input?: { readonly cwd: string }): Promise<string>;
  /** Runs Docker Compose in a folder; does not throw. */
  compose(
    cwd: string,
    args: readonly string[],
    env?: Readonly<Record<string, string>>,
  ): Promise<{ readonly exitCode: number | undefined; readonly stdout: string; readonly stderr: string }>;
  /** Runs a program where the published ports are. */
  inside(args: readonly string[]): Promise<string>;
  close(): Promise<void>;
}

/**
 * A daemon of its own in a network of its own, which nothing leaves: containers see one another there, and the machine's
 * own rules stay as they are. @throws when it is not up within a minute, with its last output
 */
export async function startDocker(directory: string): Promise<Docker> {
  await mkdir(directory, { recursive: true });
  const socket = `unix://${join(directory, "d.sock")}`;
  const places = ["--data-root", join(directory, "data"), "--exec-root", join(directory, "exec")];
  const daemon = execa(
    "unshare",
    [
      "-n",
      "-m",
      "sh",
      "-c",
      'ip link set lo up; exec dockerd "$@"',
      "sh",
      ...places,
      "-H",
      socket,
      "--pidfile",
      join(directory, "pid"),
    ],
    { reject: false, all: true, buffer: { all: true, stdout: false, stderr: false } },
  );
  const env = { DOCKER_HOST: socket };
  const isUp = async () => !(await execa("docker", ["info"], { env, reject: false })).failed;
  const giveUpMs = Date.now() + START_TIMEOUT_MS;
  while (!(await isUp())) {
    if (Date.now() > giveUpMs || daemon.exitCode !== null) {
      daemon.kill("SIGTERM");
      throw new Error(`dockerd did not start: ${String((await daemon).all).slice(-2_000)}`);
    }
    await delay(POLL_MS);
  }
  const [compose = "", ...composeArgs] = (await composeCommand()) ?? [];
  return {
    docker: async (args, input) =>
      (await execa("docker", [...args], { env: { ...env, DOCKER_BUILDKIT: "0" }, ...input })).stdout,
    async compose(cwd, args, more = {}) {
      const options = { cwd, env: { ...env, ...more }, reject: false } as const;
      const { exitCode, stdout, stderr } = await execa(compose, [...composeArgs, ...args], options);
      return { exitCode, stdout, stderr };
    },
    inside: async (args) => (await execa("nsenter", ["-n", "-t", String(daemon.pid), ...args])).stdout,
    async close() {
      daemon.kill("SIGTERM");
      await daemon;
      await rm(directory, { recursive: true, force: true });
    },
  };
}
