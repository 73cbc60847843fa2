export type FindingState = "ok" | "warning" | "failed" | "skipped";

/** What one check found. `remedy` says what to do; null where nothing is to be done. */
export interface Finding {
  readonly check: string;
  readonly state: FindingState;
  readonly detail: string;
  readonly remedy: string | null;
}

export function ok(check: string, detail: string): Finding {
  return { check, state: "ok", detail, remedy: null };
}

export function warning(check: string, detail: string, remedy: string): Finding {
  return { check, state: "warning", detail, remedy };
}

export function failed(check: string, detail: string, remedy: string): Finding {
  return { check, state: "failed", detail, remedy };
}

/** A check that another one's failure, or a setting, makes needless or impossible. */
export function skipped(check: string, why: string): Finding {
  return { check, state: "skipped", detail: why, remedy: null };
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
