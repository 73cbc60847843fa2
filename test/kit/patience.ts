/**
 * How long a test waits for one condition; then it fails and names it. Far longer than a busy machine needs, and
 * shorter than a test may take. expect.poll has it by default (vitest.config.ts).
 */
export const PATIENCE_MS = 90_000;
