import type { Kind } from "./kinds.ts";

/** One parameter of a task type. */
export interface Parameter {
  /** The name that programs of ours use. */
  readonly name: string;
  /** Other names that clients give it. */
  readonly aliases: readonly string[];
  readonly kind: Kind;
  readonly isRequired: boolean;
  /** The value if none is given; undefined: then the model or the handler decides. */
  readonly fallback?: unknown;
  /** The value whatever is given. */
  readonly fixed?: unknown;
  /** An orchestrator's list that has one value for each segment. */
  readonly perSegment?: string;
  readonly meaning: string;
}

interface Extra {
  readonly aliases?: readonly string[];
  readonly fallback?: unknown;
  readonly fixed?: unknown;
  readonly perSegment?: string;
}

export function optional(name: string, kind: Kind, meaning: string, { aliases = [], ...rest }: Extra = {}): Parameter {
  return { name, aliases, kind, isRequired: false, meaning, ...rest };
}

export function required(name: string, kind: Kind, meaning: string, extra: Extra = {}): Parameter {
  return { ...optional(name, kind, meaning, extra), isRequired: true };
}
