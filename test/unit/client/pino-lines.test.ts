import { describe, expect, it } from "vitest";
import { isSdkChatter, prettyLogLine } from "../../../src/client/render/pino-lines.ts";
import { createStyle } from "../../../src/client/render/output.ts";

const bare = createStyle(false);
function line(entry: Record<string, unknown>) {
  return JSON.stringify({
    level: "info",
    time: "2026-01-01T12:34:56.789Z",
    pid: 1,
    name: "gpu-pool",
    msg: "said",
    ...entry,
  });
}

describe("log lines for people", () => {
  it("show time, level, message and fields", () => {
    expect(prettyLogLine(line({ pool: "main", n: 2 }), bare)).toBe("12:34:56 info  said pool=main n=2");
  });

  it("show an error by its message, without its stack", () => {
    const shown = prettyLogLine(line({ level: "error", err: { message: "broken", stack: "at …" } }), bare);
    expect(shown).toBe("12:34:56 error said: broken");
  });

  it("leave a line that is no log entry as it is, on one line", () => {
    expect(prettyLogLine("plain text", bare)).toBe("plain text");
    expect(prettyLogLine('{"some":"json"}', bare)).toBe('{"some":"json"}');
    expect(prettyLogLine("a\x1b[2Jb", bare)).toBe("ab");
  });

  it("distinguish the SDK's chatter from lines that need attention", () => {
    expect(isSdkChatter(line({ sdkComponent: "worker" }))).toBe(true);
    expect(
      isSdkChatter(
        line({ sdkComponent: "worker", level: "warn", msg: "No workflows registered, not polling for workflow tasks" }),
      ),
    ).toBe(true);
    expect(isSdkChatter(line({ sdkComponent: "worker", level: "warn" }))).toBe(false);
    expect(isSdkChatter(line({}))).toBe(false);
    expect(isSdkChatter("not json")).toBe(false);
  });
});
