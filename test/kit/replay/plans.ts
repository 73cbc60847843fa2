import type { WorkerSignal } from "../../../src/contract/worker-api.ts";
import type { FakeRow } from "../workflow/fake-fleet.ts";
import { until } from "../workflow/fake-service.ts";

export function spawn(count: number) {
  return { kind: "spawn", count, max: 4, intentVersion: 1, reason: "work is queued" };
}

export function signal(row: FakeRow, message: WorkerSignal) {
  return { kind: "signal", worker: row.id, signal: message };
}

export function drain(row: FakeRow) {
  return signal(row, { name: "drain", order: { reason: "nothing queued", onlyIdle: true } });
}

export async function seen(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  await until(check, (is) => {
    if (!is) {
      throw new Error(`waited for ${what}`);
    }
  });
}
