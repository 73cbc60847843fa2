import { type ChildProcess, spawn } from "node:child_process";
import { homedir } from "node:os";
import { dirname, isAbsolute, resolve as resolvePath } from "node:path";
import type { Socket } from "node:net";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import type { Logger } from "pino";
import { cut, cutToEnd } from "../../supabase/functions/_shared/text.ts";
import { type Guarded, signalSafely } from "./end-process.ts";
import { processStartTime } from "./process-identity.ts";
import { projectProgram } from "./program.ts";

const TAIL_LINES = 50;
const TAIL_LINE_CHARACTERS = 2_000;
const OUTPUT_DRAIN_MS = 500;
const DEFAULT_GRACE_MS = 10_000;

// The child waits in this shell, with its final pid and in its own session, until it is registered with the guardian
// process. If this process dies before, `read` fails at the end of its pipe and the command never runs.
const GATE = 'read -r _ && exec "$@" </dev/null';

export type GuardianMessage = { add: Guarded } | { remove: { pid: number } } | { addPath: string };

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface SpawnOptions {
  /** Shown in logs and error texts. */
  readonly name: string;
  /** The whole environment of the child; default: that of this process. */
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly uid?: number;
  readonly gid?: number;
  /** For stdout and stderr. "pipe" (the default) fills `outputTail` and calls `onLine`. */
  readonly stdio?: "pipe" | "inherit" | "ignore";
  readonly onLine?: (line: string) => void;
  /** The first signal, default SIGTERM. It goes to the child only; SIGKILL goes to its whole group. */
  readonly stopSignal?: NodeJS.Signals;
  /** Time between the first signal and SIGKILL, default 10 s. */
  readonly stopGraceMs?: number;
}

export interface ManagedProcess {
  readonly pid: number;
  readonly name: string;
  readonly exited: Promise<ExitStatus>;
  /** Ends the child and everything in its process group; resolves when it is gone. */
  stop(): Promise<void>;
  /** The last 50 lines of the child's output, for error texts. */
  outputTail(): string;
}

export interface Guardian {
  /** Starts a child in a session of its own. Throws when it cannot be started or the guardian is closed. */
  spawn(command: string, args: readonly string[], options: SpawnOptions): ManagedProcess;
  /** Registers a path to be deleted, with all below it, once every child is gone. Call it before the path is made. */
  removeAtEnd(path: string): Promise<void>;
  /** Stops all children, the last started first, deletes the registered paths and ends the guardian process. */
  close(): Promise<void>;
}

async function launchGuardianProcess(): Promise<ChildProcess> {
  const { command, args } = projectProgram("process/guardian-process");
  const { PATH, HOME, TMPDIR } = process.env;
  const child = spawn(command, args, {
    detached: true,
    cwd: "/",
    env: { PATH, HOME, TMPDIR },
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.on("error", () => undefined);
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => (errors = cutToEnd(errors + chunk.toString(), TAIL_LINE_CHARACTERS)));
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
      tail.push(cut(line, TAIL_LINE_CHARACTERS));
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
      // "close" follows the last line of output, but never comes while another process still holds the pipe.
      const timer = setTimeout(() => resolve({ code, signal }), OUTPUT_DRAIN_MS);
      child.once("close", () => {
        clearTimeout(timer);
        resolve({ code, signal });
      });
    });
  });
}

interface Member {
  readonly guarded: Guarded;
  readonly managed: ManagedProcess;
  /** Lets the child run its command. */
  readonly openGate: () => void;
}

interface GuardianState {
  readonly logger: Logger;
  /** The children that run, by pid, in the order of their start. */
  readonly members: Map<number, Member>;
  readonly paths: Set<string>;
  guardianProcess: ChildProcess;
  closing: Promise<void> | null;
}

/**
 * Starts the guardian: one small detached process that outlives this one. However this process ends, by SIGKILL too,
 * the guardian process then ends every child and deletes every registered path. A guardian process that dies is
 * replaced.
 */
export async function startGuardian({ logger }: { logger: Logger }): Promise<Guardian> {
  const state: GuardianState = {
    logger,
    members: new Map(),
    paths: new Set(),
    guardianProcess: await launchGuardianProcess(),
    closing: null,
  };
  replaceWhenLost(state);
  return {
    spawn: (command, args, options) => spawnManaged(state, command, args, options),
    async removeAtEnd(path) {
      if (!isAbsolute(path) || resolvePath(path) === homedir() || dirname(dirname(path)) === dirname(path)) {
        throw new Error(`refusing to delete ${path} at the end: give an absolute path below a folder`);
      }
      state.paths.add(path);
      await send(state, { addPath: path }).catch(() => undefined);
    },
    close: () => (state.closing ??= closeAll(state)),
  };
}

function send(state: GuardianState, message: GuardianMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    state.guardianProcess.stdin!.write(`${JSON.stringify(message)}\n`, (error) => (error ? reject(error) : resolve()));
  });
}

function replaceWhenLost(state: GuardianState): void {
  const { logger, members } = state;
  state.guardianProcess.once("exit", (code, signal) => {
    if (state.closing !== null) {
      return;
    }
    logger.warn({ code, signal }, "the guardian process died; starting another");
    void replace(state).catch((error: unknown) => {
      logger.error({ err: error }, "no guardian process could be started; stopping all its children");
      for (const { managed } of members.values()) {
        void managed.stop();
      }
    });
  });
}

async function replace(state: GuardianState): Promise<void> {
  state.guardianProcess = await launchGuardianProcess();
  replaceWhenLost(state);
  await Promise.all([...state.paths].map((addPath) => send(state, { addPath })));
  await Promise.all(
    [...state.members.values()].map(async ({ guarded, openGate }) => send(state, { add: guarded }).then(openGate)),
  );
}

function spawnManaged(
  state: GuardianState,
  command: string,
  args: readonly string[],
  options: SpawnOptions,
): ManagedProcess {
  const { logger, members } = state;
  const { name, stopSignal = "SIGTERM", stopGraceMs = DEFAULT_GRACE_MS } = options;
  if (state.closing !== null) {
    throw new Error(`cannot start ${name}: its guardian is closed`);
  }
  const { child, pid, startTime } = spawnBehindGate(command, args, options, logger);
  const tail = collectTail(child, options.onLine);
  let ended = false;
  const exited = watchExit(child, pid, () => {
    ended = true;
    members.delete(pid);
    void send(state, { remove: { pid } }).catch(() => undefined);
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
  // This write fails only when the guardian process is being replaced; `replace` then opens the gate.
  void send(state, { add: guarded }).then(openGate, () => undefined);
  return managed;
}

function spawnBehindGate(command: string, args: readonly string[], options: SpawnOptions, logger: Logger) {
  const { name, stdio = "pipe", env, cwd, uid, gid } = options;
  const child = spawn("/bin/sh", ["-c", GATE, name, command, ...args], {
    detached: true,
    stdio: ["pipe", stdio, stdio],
    ...(env === undefined ? {} : { env }),
    ...(cwd === undefined ? {} : { cwd }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
  });
  child.on("error", (error) => logger.error({ err: error, name }, `${name} could not be started`));
  const pid = child.pid;
  const startTime = pid === undefined ? null : processStartTime(pid);
  if (pid === undefined || startTime === null) {
    throw new Error(`cannot start ${name} (${command}): check that its folder ${cwd ?? "."} exists`);
  }
  child.stdin!.on("error", () => undefined);
  return { child, pid, startTime };
}

async function closeAll(state: GuardianState): Promise<void> {
  for (const { managed } of [...state.members.values()].reverse()) {
    await managed.stop();
  }
  const { guardianProcess } = state;
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
}
