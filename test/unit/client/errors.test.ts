import { describe, expect, it } from "vitest";
import { describeError } from "../../../src/client/describe-error.ts";
import { ClientError, EXIT } from "../../../src/client/errors.ts";
import { ConfigError } from "../../../src/config/config.ts";
import { DatabaseError } from "../../../src/supabase/database-error.ts";

const env = { SUPABASE_URL: "https://project.example" };

describe("errors of the command", () => {
  it.each([
    ["a service that does not answer", new DatabaseError("submit", 0, "", "fetch failed", null), EXIT.unreachable],
    ["a service that is down", new DatabaseError("submit", 503, "", "no", null), EXIT.unreachable],
    ["a key that is refused", new DatabaseError("submit", 401, "", "no", null), EXIT.usage],
    ["a row that is not there", new DatabaseError("register", 404, "PT404", "no", null), EXIT.notFound],
    ["a refused row", new DatabaseError("submit", 409, "23503", "no", null), EXIT.failed],
    ["bad configuration", new ConfigError("The environment", [], "Set it."), EXIT.usage],
    ["bad input", new ClientError(EXIT.usage, "no"), EXIT.usage],
    ["anything else", new Error("no"), EXIT.failed],
    ["a thrown text", "no", EXIT.failed],
  ])("%s has its exit code", (_, error, exitCode) => {
    expect(describeError(error, env).exitCode).toBe(exitCode);
  });

  it("name what failed and what to do next, in two lines", () => {
    const { text } = describeError(new DatabaseError("submit", 0, "", "TypeError: fetch failed\nat …", null), env);
    expect(text.split("\n")).toEqual([
      "gpu-pool: no answer from the database at https://project.example (submit)",
      "  Check SUPABASE_URL and that the service runs (gpu-pool dev starts one here).",
    ]);
  });

  it("keep every line, but not a whole page, and no control characters", () => {
    const lines = describeError(new Error("no ffmpeg\n  Looked at:\n  /usr/bin\u001b[31m"), env).text.split("\n");
    expect(lines).toEqual(["gpu-pool: no ffmpeg", "  Looked at:", "  /usr/bin"]);
    const page = Array.from({ length: 500 }, (_, line) => `<p>${line}</p>`).join("\n");
    const { text } = describeError(new DatabaseError("submit", 502, "", page, null), env);
    expect(text.split("\n").slice(-3)).toEqual([
      expect.stringContaining("<p>"),
      "  … and 480 lines more",
      "  The service at https://project.example cannot work now; try again.",
    ]);
  });

  it("name the migration if the schema is missing", () => {
    expect(describeError(new DatabaseError("x", 404, "PGRST202", "no function", null), env).text).toContain(
      "gpu-pool db migrate",
    );
  });

  it("offer the embedded stack if no database is configured", () => {
    const error = new ConfigError("The environment", [{ variable: "SUPABASE_URL", message: "not set" }], "Set it.");
    expect(describeError(error, {}).text).toContain("gpu-pool dev");
  });

  it("show the stack, with causes, only for LOG_LEVEL=debug", () => {
    const error = new ClientError(EXIT.failed, "outer", null, { cause: new Error("inner") });
    expect(describeError(error, env).text).toBe("gpu-pool: outer");
    expect(describeError(error, { LOG_LEVEL: "DEBUG" }).text).toMatch(
      /client\/errors\.test\.ts[^]*caused by Error: inner/,
    );
  });
});
