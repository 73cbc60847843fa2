/** The exit codes of every command; docs/commands.md says what each means. */
export const EXIT = { ok: 0, failed: 1, usage: 2, notFound: 3, unreachable: 4 } as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A failure with its exit code: `message` says what failed and with which input, `advice` what to do next. */
export class ClientError extends Error {
  readonly exitCode: ExitCode;
  readonly advice: string | null;

  constructor(exitCode: ExitCode, message: string, advice: string | null = null, options?: ErrorOptions) {
    super(message, options);
    this.name = "ClientError";
    this.exitCode = exitCode;
    this.advice = advice;
  }
}
