import { afterAll, inject } from "vitest";
import { runTemporal } from "../temporal/temporal-cli.ts";
import { type FakeService, type Stage, startFakeService } from "./fake-service.ts";

// One service for each test file.
let service: Promise<FakeService> | undefined;
afterAll(async () => await (await service)?.close());

/** A test's body with a pool of its own, closed at its end. Times in seconds. */
export function withKit(
  steps: (kit: Stage) => Promise<void>,
  timings?: Partial<Stage["timings"]>,
): () => Promise<void> {
  return async () => {
    const { temporalAddress: address, workflowBundle: codePath } = inject("shared");
    service ??= startFakeService({ address, bundle: { codePath }, identity: "workflow-test" });
    const kit = (await service).open(timings);
    try {
      await steps(kit);
    } finally {
      await kit.close();
    }
  };
}

/**
 * Runs the real `temporal` command and answers what it printed.
 * @throws Error with the command's output, if it fails
 */
export async function cli(...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await runTemporal(args);
  if (exitCode !== 0) {
    throw new Error(`temporal ${args.join(" ")} ended with exit code ${exitCode}: ${stderr}`);
  }
  return stdout;
}

/** For `cli`: a payload in an unknown encoding. */
export const UNREADABLE = ["--input-base64", "--input", "AAE=", "--input-meta", "encoding=binary/unknown"] as const;

/** A gate that a hook waits at until the test opens it. */
export function gate(): { readonly passed: Promise<void>; open(): void } {
  let open = () => {};
  const passed = new Promise<void>((resolve) => (open = resolve));
  return { passed, open: () => open() };
}
