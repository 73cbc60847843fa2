import { ClientError } from "../errors.ts";
import { runSpawnTest, type SpawnTest } from "../jobs/spawn-test.ts";
import { failed, type Finding, ok } from "./finding.ts";
import type { Subject } from "./subject.ts";

const CHECK = "spawn test";

/** @param yes the caller has agreed to the price */
export function spawnTestWith(yes: boolean): (subject: Subject) => Promise<Finding[]> {
  return async ({ context, pool }) => {
    try {
      return findingsOf(await runSpawnTest(context, pool, { yes }));
    } catch (error) {
      if (error instanceof ClientError) {
        return [failed(CHECK, error.message, error.advice ?? "Try again.")];
      }
      throw error;
    }
  };
}

/** What the pod found, and how the test as a whole ended. */
export function findingsOf({ pod, state, reason, checks, costUsd }: SpawnTest): Finding[] {
  const cost = costUsd === null ? "" : `, cost $${costUsd.toFixed(4)}`;
  const whole =
    state === "done"
      ? ok(CHECK, `pod ${pod} did all it had to, is deleted and seen gone${cost}`)
      : failed(
          CHECK,
          `${reason ?? state}${state === "refused" ? "" : ` (pod ${pod}, which is gone${cost})`}`,
          state === "refused"
            ? "Nothing was rented."
            : `gpu-pool worker logs ${pod} shows what is kept of the pod's log.`,
        );
  return [
    ...checks.map(({ check, ok: isWell, detail }) =>
      isWell
        ? ok(`pod: ${check}`, detail)
        : failed(`pod: ${check}`, detail, "Correct what the pod saw, and test again."),
    ),
    whole,
  ];
}
