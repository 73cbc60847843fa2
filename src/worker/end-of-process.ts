const PATIENCE_MS = 1_000;

/** Ends the process, which has nothing left to do, although a request that nobody waits for any more may still be open. */
export function endSoon(): void {
  setTimeout(() => process.exit(), PATIENCE_MS).unref();
}
