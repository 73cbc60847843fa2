/** Something that is wrong in a task's `params`. */
export interface Problem {
  /** Such as `params.frames`. */
  readonly field: string;
  /** Completes the field's name: "expected an integer between 1 and 1000, got 0". */
  readonly what: string;
}

export interface Resolved {
  readonly value: unknown;
  /** The fields that gave it, such as `params.frames`; none: it is the type's default. */
  readonly from: readonly string[];
  /** What was given or is the default, where the value is another one; else null. */
  readonly adjusted: { readonly from: unknown; readonly why: string } | null;
}

/** A task's resolved parameters, by their names. A parameter without value and default is left out. */
export type Given = Readonly<Record<string, Resolved>>;
