/** The command's exit codes. Those above 2 come from sysexits.h. */
export const EXIT = { ok: 0, failed: 1, usage: 2, unreachable: 69, badConfig: 78 } as const;

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
