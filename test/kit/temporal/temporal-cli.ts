import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { execa } from "execa";
import { inject } from "vitest";
import { PATIENCE_MS } from "../patience.ts";

const PAUSE_MS = 500;

export interface CliAnswer {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs the real `temporal` command. A server under load refuses a call if it cannot lock the workflow in time. SDK
 * clients repeat such a call, but the command ends with exit code 1. So the command is repeated until it is accepted.
 */
export async function runTemporal(args: readonly string[]): Promise<CliAnswer> {
  const { temporalBinary, temporalAddress } = inject("shared");
  // The server does not run an update a second time if it has the same id.
  const once = args[1] === "update" ? ["--update-id", randomUUID()] : [];
  const giveUpAtMs = Date.now() + PATIENCE_MS;
  for (;;) {
    const { exitCode, stdout, stderr } = await execa(temporalBinary, [...args, ...once], {
      env: { TEMPORAL_ADDRESS: temporalAddress },
      reject: false,
      stdin: "ignore",
      timeout: PATIENCE_MS,
    });
    const isBusy = exitCode !== 0 && stderr.includes("Workflow is busy");
    if (!isBusy || Date.now() >= giveUpAtMs) {
      return { exitCode, stdout, stderr };
    }
    await delay(PAUSE_MS);
  }
}
