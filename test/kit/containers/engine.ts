import { execa } from "execa";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { defaultCacheDir } from "../../../src/dev/servers/temporal-binary.ts";
import { type ImageName, instructionsOf, ROOT } from "./dockerfile.ts";

/** The images that some registry would hold, under the names in the Dockerfiles. */
const BASES: Readonly<Record<string, string>> = {
  NODE_IMAGE: "docker.io/library/",
  CUDA_IMAGE: "docker.io/",
};
const TOOLS = ["podman", "buildah", "debootstrap", "runc", "npm"];
/** Containers within containers may not raise their limits, and control groups may be of either version. */
const PODMAN = ["--runtime", "runc", "--cgroup-manager", "cgroupfs", "--events-backend", "file"];
const LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"];

/** Why no image can be built and run here; null: it can. */
export async function whyNoEngine(): Promise<string | null> {
  if (process.platform !== "linux" || process.getuid?.() !== 0) {
    return "needs root on Linux";
  }
  const missing: string[] = [];
  for (const tool of TOOLS) {
    const { failed } = await execa("sh", ["-c", `command -v ${tool}`], { reject: false });
    if (failed) {
      missing.push(tool);
    }
  }
  return missing.length > 0 ? `needs ${missing.join(", ")}` : null;
}

export interface Engine {
  /** Builds an image on stand-ins of its base images. @returns its name and its size in bytes */
  build(image: ImageName): Promise<{ readonly name: string; readonly bytes: number }>;
  /** The command line that runs a container on the host's network, for `podman` to follow it. */
  runCommand(options: readonly string[]): string[];
  podman(args: readonly string[]): Promise<{ exitCode: number | undefined; stdout: string; stderr: string }>;
  /** Removes all containers that were made by this engine's command lines, and layers that have not been used for a day. */
  close(): Promise<void>;
}

/** Containers in a store of the project's own, which keeps base images and layers from one run to the next. */
export async function openEngine(): Promise<Engine> {
  const store = join(defaultCacheDir(), "containers");
  await mkdir(store, { recursive: true });
  const roots = ["--root", join(store, "images"), "--runroot", join(store, "run")];
  const label = `gpu-pool-test=${process.pid}-${Date.now()}`;
  const podman: Engine["podman"] = async (args) => {
    const { exitCode, stdout, stderr } = await execa("podman", [...roots, ...PODMAN, ...args], { reject: false });
    return { exitCode, stdout, stderr };
  };
  return {
    podman,
    async build(image) {
      const name = `localhost/gpu-pool-${image}:test`;
      await execa(join(ROOT, "test/kit/containers/make-base.sh"), [store, ...basesOf(image)]);
      const file = `deployment/docker/${image}.Dockerfile`;
      const how = ["--isolation", "chroot", "--pull-never", "--format", "docker", "--layers"];
      await execa("buildah", [...roots, "bud", ...how, "-t", name, "-f", file, "."], { cwd: ROOT });
      const { stdout } = await podman(["image", "inspect", "--format", "{{.Size}}", name]);
      return { name, bytes: Number(stdout) };
    },
    runCommand: (options) => [...roots, ...PODMAN, "run", "--network", "host", ...LIMITS, "--label", label, ...options],
    async close() {
      const { stdout } = await podman(["ps", "--all", "--quiet", "--filter", `label=${label}`]);
      if (stdout !== "") {
        await podman(["rm", "--force", ...stdout.split("\n")]);
      }
      // Layers of sources that are gone.
      await podman(["image", "prune", "--force", "--filter", "until=24h"]);
    },
  };
}

/** The full names of the images that this Dockerfile starts from. */
function basesOf(image: ImageName): string[] {
  return instructionsOf(image).flatMap(({ kind, text }) => {
    const [, argument = "", name = ""] = /^(\w+)=(.+)$/.exec(text) ?? [];
    const registry = kind === "ARG" ? BASES[argument] : undefined;
    return registry === undefined ? [] : [`${registry}${name}`];
  });
}
