import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, isAbsolute, resolve as resolvePath } from "node:path";
import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Logger } from "pino";

const TAIL_LINES = 50;
const TAIL_LINE_CHARACTERS = 2_000;
const OUTPUT_DRAIN_MS = 500;
const KILL_WAIT_MS = 5_000;
const POLL_MS = 25;
const DEFAULT_GRACE_MS = 10_000;

// The child waits in this shell, with its final pid and in its own session, until its registration is in the
// guardian's pipe. If the parent dies before, `read` meets the end of the pipe and the command never runs.
const GATE = 'read -r _ && exec "$@" </dev/null';

export interface Guarded {
  pid: number;
  startTime: string;
  signal: NodeJS.Signals;
  graceMs: number;
}

export type GuardianMessage = { add: Guarded } | { remove: { pid: number } } | { addPath: string };

export interface ExitStatus {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface SpawnOptions {
  /** Shown in logs and error texts. */
  name: string;
  /** The whole environment of the child; the parent's own when left out. */
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  uid?: number;
  gid?: number;
  /** Where stdout and stderr go. "pipe" (the default) fills `outputTail` and calls `onLine`. */
  stdio?: "pipe" | "inherit" | "ignore";
  onLine?: (line: string) => void;
  /** The polite signal; SIGTERM when left out. It goes to the child itself, SIGKILL to its whole group. */
  stopSignal?: NodeJS.Signals;
  /** How long the child has between the polite signal and SIGKILL; 10 s when left out. */
  stopGraceMs?: number;
}

export interface ManagedProcess {
  readonly pid: number;
  readonly name: string;
  readonly exited: Promise<ExitStatus>;
  /** Ends the child and everything in its process group; resolves when it is gone. */
  stop(): Promise<void>;
  /** The last 50 lines that the child wrote, for error texts. */
  outputTail(): string;
}

export interface Guardian {
  /** Starts a child in a session of its own. Throws when the process cannot be made or the guardian is closed. */
  spawn(command: string, args: readonly string[], options: SpawnOptions): ManagedProcess;
  /** Has the path deleted, with all below it, once every child is gone. Call it before making the path. */
  removeAtEnd(path: string): Promise<void>;
  /** Stops all children, the last started first, deletes the registered paths and ends the guardian. */
  close(): Promise<void>;
}

/** Identifies the process that has this pid now; null when there is none or only its zombie is left. */
export function processStartTime(pid: number): string | null {
  try {
    if (process.platform === "linux") {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return /^[ZX]/.test(fields[0] ?? "") ? null : (fields[19] ?? null);
    }
    const env = { ...process.env, LC_ALL: "C" };
    const line = execFileSync("ps", ["-o", "stat=,lstart=", "-p", String(pid)], { encoding: "utf8", env }).trim();
    return line === "" || line.startsWith("Z") ? null : line.replace(/^\S+\s+/, "");
  } catch {
    return null;
  }
}

function signalSafely(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // Gone already, or only zombies are left of the group (EPERM on macOS).
  }
}

/** Ends a process that need not be a child of ours, and its group: signal, grace, SIGKILL. A reused pid is left alone. */
export async function endGuarded({ pid, startTime, signal, graceMs }: Guarded): Promise<void> {
  const isAlive = (): boolean => processStartTime(pid) === startTime;
  const waitGone = async (timeoutMs: number): Promise<void> => {
    for (const endMs = Date.now() + timeoutMs; isAlive() && Date.now() < endMs;) {
      await delay(POLL_MS);
    }
  };
  if (isAlive()) {
    signalSafely(pid, signal);
  }
  await waitGone(graceMs);
  const holder = processStartTime(pid);
  if (holder === null || holder === startTime) {
    signalSafely(-pid, "SIGKILL");
  }
  await waitGone(KILL_WAIT_MS);
}

async function launchGuardianProcess(): Promise<ChildProcess> {
  const fromSources = import.meta.url.endsWith(".ts");
  const script = fileURLToPath(new URL(`./guardian-process.${fromSources ? "ts" : "js"}`, import.meta.url));
  const loader = fromSources ? ["--import", pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href] : [];
  const { PATH, HOME, TMPDIR } = process.env;
  const child = spawn(process.execPath, [...loader, script], {
    detached: true,
    cwd: "/",
    env: { PATH, HOME, TMPDIR },
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.on("error", () => undefined);
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-TAIL_LINE_CHARACTERS)));
  await new Promise<void>((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code, signal) =>
      reject(new Error(`the guardian process ended at once (${signal ?? `code ${code}`}): ${errors.trim()}`)),
    );
    child.stdout.once("data", () => resolve());
  });
  child.unref();
  for (const stream of [child.stdin, child.stdout, child.stderr]) {
    (stream as unknown as Socket).unref();
  }
  return child;
}

function collectTail(child: ChildProcess, onLine: SpawnOptions["onLine"]): string[] {
  const tail: string[] = [];
  for (const stream of [child.stdout, child.stderr] as (Readable | null)[]) {
    if (stream === null) {
      continue;
    }
    createInterface({ input: stream }).on("line", (line) => {
      tail.push(line.slice(0, TAIL_LINE_CHARACTERS));
      if (tail.length > TAIL_LINES) {
        tail.shift();
      }
      onLine?.(line);
    });
  }
  return tail;
}

function watchExit(child: ChildProcess, pid: number, onExit: () => void): Promise<ExitStatus> {
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => {
      signalSafely(-pid, "SIGKILL");
      onExit();
      // "close" brings the last lines of output, but a stranger holding the pipe could keep it away for ever.
      const timer = setTimeout(() => resolve({ code, signal }), OUTPUT_DRAIN_MS);
      child.once("close", () => {
        clearTimeout(timer);
        resolve({ code, signal });
      });
    });
  });
}

/**
 * Starts the guardian: one small detached process that outlives this one by as long as it takes to end every child
 * and delete every registered path, whatever this process died of, SIGKILL included. A guardian that dies is replaced.
 */
export async function startGuardian({ logger }: { logger: Logger }): Promise<Guardian> {
  const members = new Map<number, { guarded: Guarded; managed: ManagedProcess; openGate: () => void }>();
  const paths = new Set<string>();
  let closing: Promise<void> | null = null;
  let guardianProcess = await launchGuardianProcess();

  const tell = (message: GuardianMessage): Promise<void> =>
    new Promise((resolve, reject) => {
      guardianProcess.stdin!.write(`${JSON.stringify(message)}\n`, (error) => (error ? reject(error) : resolve()));
    });

  const replaceWhenLost = (): void => {
    guardianProcess.once("exit", (code, signal) => {
      if (closing !== null) {
        return;
      }
      logger.warn({ code, signal }, "the guardian process died; starting another");
      void replace().catch((error: unknown) => {
        logger.error({ err: error }, "no guardian process could be started; stopping what it protected");
        for (const { managed } of members.values()) {
          void managed.stop();
        }
      });
    });
  };

  const replace = async (): Promise<void> => {
    guardianProcess = await launchGuardianProcess();
    replaceWhenLost();
    await Promise.all([...paths].map((addPath) => tell({ addPath })));
    await Promise.all(
      [...members.values()].map(async ({ guarded, openGate }) => tell({ add: guarded }).then(openGate)),
    );
  };

  replaceWhenLost();

  const spawnManaged: Guardian["spawn"] = (command, args, options) => {
    const { name, stdio = "pipe", stopSignal = "SIGTERM", stopGraceMs = DEFAULT_GRACE_MS } = options;
    if (closing !== null) {
      throw new Error(`cannot start ${name}: its guardian is closed`);
    }
    const child = spawn("/bin/sh", ["-c", GATE, name, command, ...args], {
      detached: true,
      stdio: ["pipe", stdio, stdio],
      ...(options.env === undefined ? {} : { env: options.env }),
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.uid === undefined ? {} : { uid: options.uid }),
      ...(options.gid === undefined ? {} : { gid: options.gid }),
    });
    child.on("error", (error) => logger.error({ err: error, name }, `${name} could not be started`));
    const pid = child.pid;
    const startTime = pid === undefined ? null : processStartTime(pid);
    if (pid === undefined || startTime === null) {
      throw new Error(`cannot start ${name} (${command}): check that its folder ${options.cwd ?? "."} exists`);
    }
    child.stdin!.on("error", () => undefined);
    const tail = collectTail(child, options.onLine);
    let ended = false;
    const exited = watchExit(child, pid, () => {
      ended = true;
      members.delete(pid);
      void tell({ remove: { pid } }).catch(() => undefined);
    });

    const stop = async (): Promise<void> => {
      if (!ended) {
        child.kill(stopSignal);
      }
      const killTimer = setTimeout(() => {
        if (ended) {
          return;
        }
        logger.warn({ name, pid, stopGraceMs }, `${name} did not stop in time and is killed`);
        signalSafely(-pid, "SIGKILL");
      }, stopGraceMs);
      await exited;
      clearTimeout(killTimer);
    };

    const managed: ManagedProcess = { pid, name, exited, stop, outputTail: () => tail.join("\n") };
    const guarded: Guarded = { pid, startTime, signal: stopSignal, graceMs: stopGraceMs };
    const openGate = (): void => void child.stdin!.end("\n");
    members.set(pid, { guarded, managed, openGate });
    // When this write fails the guardian is being replaced, and its successor opens the gate.
    void tell({ add: guarded }).then(openGate, () => undefined);
    return managed;
  };

  const closeAll = async (): Promise<void> => {
    for (const { managed } of [...members.values()].reverse()) {
      await managed.stop();
    }
    const gone = new Promise<void>((resolve) => {
      if (guardianProcess.exitCode !== null || guardianProcess.signalCode !== null) {
        resolve();
      } else {
        guardianProcess.once("exit", () => resolve());
      }
    });
    guardianProcess.ref();
    guardianProcess.stdin!.end();
    await gone;
  };

  return {
    spawn: spawnManaged,
    removeAtEnd: async (path) => {
      if (!isAbsolute(path) || resolvePath(path) === homedir() || dirname(dirname(path)) === dirname(path)) {
        throw new Error(`refusing to delete ${path} at the end: give an absolute path below a folder`);
      }
      paths.add(path);
      await tell({ addPath: path }).catch(() => undefined);
    },
    close: () => (closing ??= closeAll()),
  };
}
