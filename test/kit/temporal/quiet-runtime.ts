import { DefaultLogger, makeTelemetryFilterString, Runtime } from "@temporalio/worker";

let isInstalled = false;

/** Installs the SDK's runtime for all test files of this process, which must agree on one. It logs only if TEST_LOG_LEVEL is set. */
export function installQuietRuntime(): void {
  if (isInstalled) {
    return;
  }
  isInstalled = true;
  const silent = process.env["TEST_LOG_LEVEL"] === undefined ? [() => undefined] : [];
  Runtime.install({
    logger: new DefaultLogger("ERROR", ...silent),
    telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: "ERROR" }) } },
  });
}
