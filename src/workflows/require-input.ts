import { ApplicationFailure } from "@temporalio/workflow";
import { FAILURES } from "../contract/failures.ts";
import { expected, isRecord } from "./payloads.ts";

/**
 * Refuses the input of a workflow that was started by hand without what it needs. Another error would fail its workflow
 * task again and again, without end.
 * @param needed names of fields that must hold a text
 * @throws ApplicationFailure of type FAILURES.invalidInput
 */
export function requireInput(input: unknown, needed: readonly string[]): void {
  if (!isRecord(input) || !needed.every((name) => typeof input[name] === "string" && input[name] !== "")) {
    const fields = needed.length === 0 ? "" : ` with ${needed.join(" and ")}`;
    throw invalidInput(expected(`an object${fields}`, input));
  }
}

export function invalidInput(problem: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(`input: ${problem}`, FAILURES.invalidInput);
}
