import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { execa } from "execa";
import { inject } from "vitest";
import { PATIENCE_MS } from "./patience.ts";

const PAUSE_MS = 500;

export interface CliAnswer {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs the real `temporal` command. A server under load refuses a call about a workflow whose lock it cannot get in
 * time. SDK clients repeat such a call, the command ends with exit code 1; so it is given again until it is taken.
 */
export async function runTemporal(args: readonly string[]): Promise<CliAnswer> {
  const { temporalBinary, temporalAddress } = inject("shared");
  // The server knows the id of an update that it took, and then does not run it a second time.
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
