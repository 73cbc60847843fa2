import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { expect, it, onTestFinished } from "vitest";
import { startGuardian } from "../../../src/process/guardian.ts";
import { podLogPath } from "../../../src/simulator/pod-log.ts";
import { createPodLauncher } from "../../../src/simulator/pod-process.ts";
import type { PodProcess, PodToLaunch } from "../../../src/simulator/types.ts";
import { isAlive } from "../../kit/simulator.ts";

async function launchScript(script: string, env: Record<string, string> = {}, mounts: PodToLaunch["mounts"] = []) {
  const dataDir = await mkdtemp(join(tmpdir(), "simulator-test-"));
  const guardian = await startGuardian({ logger: pino({ level: "silent" }) });
  onTestFinished(async () => {
    await guardian.close();
    await rm(dataDir, { recursive: true, force: true });
  });
  const launch = createPodLauncher({ guardian, program: { command: process.execPath, args: ["-e", script] } });
  const logPath = podLogPath(dataDir, "pod1");
  const lines: string[] = [];
  const onLine = (line: string) => void lines.push(line);
  const launched: PodProcess = await launch({
    id: "pod1",
    name: "main-1",
    image: "any",
    command: null,
    env,
    mounts,
    logPath,
    onLine,
  });
  return { launched, lines, logPath, log: () => readFile(logPath, "utf8"), folder: join(dataDir, "pods") };
}

it("a pod that has ended leaves the output of both streams in its log, and no folder", async () => {
  const script =
    "require('fs').writeFileSync('model.bin', ''); console.log('out'); console.error('err'); process.exit(4)";
  const { launched, log, lines, folder } = await launchScript(script);
  expect(await launched.exited).toEqual({ code: 4, signal: null });
  expect((await log()).trim().split("\n").toSorted()).toEqual(["err", "out"]);
  expect(lines.toSorted()).toEqual(["err", "out"]);
  expect(await readdir(folder)).toEqual(["pod1.log"]);
});

it("a pod gets its own variables, and from the simulator's environment only those that every process needs", async () => {
  process.env["RUNPOD_API_KEY_OF_THE_OWNER"] = "secret";
  onTestFinished(() => void delete process.env["RUNPOD_API_KEY_OF_THE_OWNER"]);
  const { launched, log } = await launchScript("console.log(JSON.stringify(process.env))", { WORKER_ID: "main-1" });
  await launched.exited;
  const env = JSON.parse(await log()) as Record<string, string>;
  expect(env).toMatchObject({ WORKER_ID: "main-1", PATH: process.env["PATH"] });
  expect(Object.keys(env)).not.toContain("RUNPOD_API_KEY_OF_THE_OWNER");
});

it("a pod that ignores SIGTERM is killed with all processes that it started", async () => {
  const child = "require('child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)']).pid";
  const script = `process.on("SIGTERM", () => {}); console.log(${child}); setInterval(() => {}, 1000)`;
  const { launched, log } = await launchScript(script);
  await expect.poll(() => log()).toMatch(/^\d+\n$/);
  const grandchild = Number(await log());
  await launched.stop(200);
  expect(await launched.exited).toEqual({ code: null, signal: "SIGKILL" });
  expect(isAlive(launched.pid)).toBe(false);
  await expect.poll(() => isAlive(grandchild)).toBe(false);
});

it("a network volume is seen at its path and by RUNPOD_VOLUME_MOUNT_PATH, and keeps its files when the pod is gone", async () => {
  const volume = await mkdtemp(join(tmpdir(), "simulator-volume-"));
  onTestFinished(() => rm(volume, { recursive: true, force: true }));
  const script = `
    const { readFileSync, writeFileSync } = require("fs");
    writeFileSync(process.env.RUNPOD_VOLUME_MOUNT_PATH + "/model.bin", "weights");
    console.log(process.env.RUNPOD_VOLUME_MOUNT_PATH, readFileSync("workspace/model.bin", "utf8"));`;
  const env = { RUNPOD_VOLUME_MOUNT_PATH: "/workspace" };
  const { launched, log } = await launchScript(script, env, [{ path: "/workspace", folder: volume }]);
  expect(await launched.exited).toMatchObject({ code: 0 });
  expect(await log()).toBe(`${volume} weights\n`);
  expect(await readFile(join(volume, "model.bin"), "utf8")).toBe("weights");
});

it("a pod without a volume finds its mount path in its own folder, never at the path of this machine", async () => {
  const script = "console.log(process.env.RUNPOD_VOLUME_MOUNT_PATH, process.cwd())";
  const { launched, log } = await launchScript(script, { RUNPOD_VOLUME_MOUNT_PATH: "/../workspace" });
  await launched.exited;
  const [path, folder] = (await log()).trim().split(" ");
  expect(path).toBe(`${folder}/workspace`);
});
