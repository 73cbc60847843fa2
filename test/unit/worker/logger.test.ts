import { describe, expect, it } from "vitest";
import { createLogger, temporalLogger } from "../../../src/logger.ts";

function captured(level = "trace") {
  const lines: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void lines.push(JSON.parse(line) as Record<string, unknown>) };
  return { lines, logger: createLogger({ level, name: "test", destination }) };
}

describe("createLogger", () => {
  it("writes one JSON object per line with a worded level, an ISO time and the name", () => {
    const { lines, logger } = captured();
    logger.warn({ podId: "p1" }, "pod is slow");
    expect(lines).toEqual([
      { level: "warn", time: expect.any(String), pid: process.pid, name: "test", podId: "p1", msg: "pod is slow" },
    ]);
    expect(new Date(String(lines[0]?.["time"])).toISOString()).toBe(lines[0]?.["time"]);
  });

  it("leaves out lines below the level", () => {
    const { lines, logger } = captured("error");
    logger.warn("not shown");
    expect(lines).toEqual([]);
  });

  it("replaces secrets at the top level and at the two levels below it", () => {
    const { lines, logger } = captured();
    logger.info({
      apiKey: "hush",
      config: { supabase: { serviceRoleKey: "hush", dbUrl: "hush" }, runpod: { apiKey: "hush" } },
      request: { headers: { authorization: "Bearer hush", "x-worker-token": "hush" } },
      "x-worker-token": "hush",
      worker: { token: "hush" },
      lease_token: "hush",
    });
    expect(JSON.stringify(lines)).not.toContain("hush");
    expect(lines[0]).toMatchObject({ config: { runpod: { apiKey: "[redacted]" } } });
  });
});

describe("temporalLogger", () => {
  it("keeps the level, the fields and the error of the SDK's messages", () => {
    const { lines, logger } = captured();
    const sdk = temporalLogger(logger);
    sdk.log("TRACE", "one");
    sdk.info("two", { taskQueue: "gpu-pool" });
    sdk.error("three", { error: new Error("connection lost"), workflowId: "w" });
    expect(lines).toMatchObject([
      { level: "trace", msg: "one" },
      { level: "info", msg: "two", taskQueue: "gpu-pool" },
      { level: "error", msg: "three", workflowId: "w", err: { type: "Error", message: "connection lost" } },
    ]);
  });
});
