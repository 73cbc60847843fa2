import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Guardian, startGuardian } from "../../../src/process/guardian.ts";
import { processStartTime } from "../../../src/process/process-identity.ts";

const logger = pino({ level: "silent" });
const guardianUrl = new URL("../../../src/process/guardian.ts", import.meta.url).href;
const tsxUrl = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "guardian-test-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

function runParent(body: string): { child: ChildProcess; output: () => string; exited: Promise<unknown> } {
  const script = `
    import { execFileSync } from "node:child_process";
    import { writeSync } from "node:fs";
    import { startGuardian } from ${JSON.stringify(guardianUrl)};
    const logger = { warn() {}, error() {} };
    const guardian = await startGuardian({ logger });
    const out = (value) => process.stdout.write(JSON.stringify(value) + "\\n");
    ${body}`;
  const child = spawn(process.execPath, ["--import", tsxUrl, "--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const exited = new Promise((resolve) => child.once("close", resolve));
  return { child, output: () => text, exited };
}

function isAlive(pid: number): boolean {
  return processStartTime(pid) !== null;
}

describe("the guardian of a parent that dies", () => {
  it("ends every child, also one that ignores SIGTERM and a grandchild, and deletes the registered path", async () => {
    const temp = join(dir, "temp");
    mkdirSync(join(temp, "inner"), { recursive: true });
    const parent = runParent(`
      await guardian.removeAtEnd(${JSON.stringify(temp)});
      const polite = guardian.spawn("sleep", ["300"], { name: "polite" });
      const stubborn = guardian.spawn("sh", ["-c", "trap '' TERM; echo up; while :; do sleep 1; done"],
        { name: "stubborn", stopGraceMs: 300, onLine: () => family.stdoutReady("stubborn") });
      const family = { up: new Set(), stdoutReady(name, extra) {
        this.up.add(name); if (extra) this.grandchild = extra;
        if (this.up.size === 2) out({ pids: [polite.pid, stubborn.pid, tree.pid, this.grandchild] });
      } };
      const tree = guardian.spawn("sh", ["-c", "sleep 300 & echo $!; wait"],
        { name: "tree", onLine: (line) => family.stdoutReady("tree", Number(line)) });
    `);
    await expect.poll(parent.output).toContain("pids");
    const { pids } = JSON.parse(parent.output()) as { pids: number[] };
    expect(pids.filter(isAlive)).toEqual(pids);

    parent.child.kill("SIGKILL");
    await parent.exited;

    await expect.poll(() => pids.filter(isAlive)).toEqual([]);
    await expect.poll(() => existsSync(temp)).toBe(false);
  });

  it("never runs a command whose parent died just as it started it", async () => {
    const marker = join(dir, "marker");
    const parent = runParent(`
      const child = guardian.spawn("sh", ["-c", 'touch "$0"; sleep 300', ${JSON.stringify(marker)}], { name: "late" });
      writeSync(1, JSON.stringify({ pid: child.pid }) + "\\n");
      process.kill(process.pid, "SIGKILL");
    `);
    await parent.exited;
    const { pid } = JSON.parse(parent.output()) as { pid: number };
    await expect.poll(() => isAlive(pid)).toBe(false);
    expect(existsSync(marker)).toBe(false);
  });

  it("gives a child the stop signal and the grace period from its options", async () => {
    const goodbye = join(dir, "goodbye");
    const parent = runParent(`
      const script = 'trap "sleep 0.3; echo done > ' + ${JSON.stringify(goodbye)} + '; exit 0" INT; echo up; while :; do sleep 0.05; done';
      guardian.spawn("sh", ["-c", script], { name: "orderly", stopSignal: "SIGINT", stopGraceMs: 10000, onLine: out });
    `);
    await expect.poll(parent.output).toContain("up");
    parent.child.kill("SIGKILL");
    await expect.poll(() => existsSync(goodbye) && readFileSync(goodbye, "utf8")).toBe("done\n");
  });
});

describe("a guardian", () => {
  let guardian: Guardian;
  beforeAll(async () => {
    guardian = await startGuardian({ logger });
  });
  afterAll(() => guardian.close());

  it("starts each child in a process group of its own, so that Ctrl-C at the terminal does not reach it", async () => {
    const child = guardian.spawn("sleep", ["300"], { name: "own group" });
    const group = execFileSync("ps", ["-o", "pgid=", "-p", String(child.pid)], { encoding: "utf8" });
    expect(Number(group)).toBe(child.pid);
    await child.stop();
    expect(isAlive(child.pid)).toBe(false);
  });

  it("keeps the last 50 lines of output and reports the exit code", async () => {
    const child = guardian.spawn("sh", ["-c", "seq 1 70; exit 3"], { name: "talker" });
    expect(await child.exited).toEqual({ code: 3, signal: null });
    const tail = child.outputTail().split("\n");
    expect([tail.length, tail[0], tail.at(-1)]).toEqual([50, "21", "70"]);
  });

  it("reports in the output that a command does not exist", async () => {
    const child = guardian.spawn("no-such-command-here", [], { name: "missing" });
    expect(await child.exited).toMatchObject({ code: 127 });
    expect(child.outputTail()).toContain("no-such-command-here");
  });

  it("refuses to delete a root folder, the home folder and relative paths", async () => {
    await expect(guardian.removeAtEnd("/")).rejects.toThrow("refusing to delete /");
    await expect(guardian.removeAtEnd("/tmp")).rejects.toThrow("refusing to delete /tmp");
    await expect(guardian.removeAtEnd("some/where")).rejects.toThrow("give an absolute path");
  });

  it("stops its children in reverse order and deletes the registered paths when it is closed", async () => {
    const own = await startGuardian({ logger });
    const path = join(dir, "closed");
    await own.removeAtEnd(path);
    mkdirSync(path);
    const order: string[] = [];
    for (const name of ["first", "second"]) {
      void own.spawn("sleep", ["300"], { name }).exited.then(() => order.push(name));
    }
    await own.close();
    expect(order).toEqual(["second", "first"]);
    expect(existsSync(path)).toBe(false);
    expect(() => own.spawn("sleep", ["1"], { name: "late" })).toThrow("cannot start late: its guardian is closed");
  });
});

describe("a guardian process that is killed", () => {
  it("is replaced, and its children still end with the parent", async () => {
    const parent = runParent(`
      const sleeper = guardian.spawn("sleep", ["300"], { name: "sleeper" });
      const guardians = () => execFileSync("ps", ["-axo", "pid=,ppid=,command="], { encoding: "utf8" }).split("\\n")
        .map((line) => line.trim().split(/ +/))
        .filter(([, ppid, ...command]) => ppid === String(process.pid) && command.join(" ").includes("guardian-process"))
        .map(([pid]) => pid);
      const [old] = guardians();
      process.kill(Number(old), "SIGKILL");
      const timer = setInterval(() => {
        const now = guardians().filter((pid) => pid !== old);
        if (now.length === 0) return;
        clearInterval(timer);
        guardian.spawn("sh", ["-c", "echo up; sleep 300"], { name: "next", onLine: () => out({ pid: sleeper.pid }) });
      }, 50);
    `);
    await expect.poll(parent.output).toContain("pid");
    const { pid } = JSON.parse(parent.output()) as { pid: number };
    expect(isAlive(pid)).toBe(true);
    parent.child.kill("SIGKILL");
    await expect.poll(() => isAlive(pid)).toBe(false);
  });
});
