/**
 * How long a test waits for one condition before it fails and says which; far longer than a busy machine needs, and
 * shorter than a test may take. expect.poll has it by default (vitest.config.ts).
 */
export const PATIENCE_MS = 90_000;
