import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("../../..", import.meta.url));

/** What may use the process's streams, and why nobody else's text can pass there. */
const WRITERS: Readonly<Record<string, string>> = {
  "src/client/main.ts": "hands them to the one Output",
  "src/worker.ts": "JSON lines of the logger, and errors of the configuration through the one function",
  "src/worker/database-logs.ts": "JSON lines of the logger, escaped",
  "src/gpu-worker/main.ts": "JSON lines of the logger, escaped",
  "src/process/guardian-process.ts": "one word to its parent",
  "src/dev/demo/demo.ts": "JSON lines of a logger of the demo's own stack",
};

it("Only the Output of a command and the loggers write to a terminal", async () => {
  const { stdout } = await execa("git", ["ls-files", "--cached", "--others", "--exclude-standard", "src"], {
    cwd: root,
  });
  const files = stdout.split("\n").filter((file) => file.endsWith(".ts"));
  expect(files.length).toBeGreaterThan(100);
  const writing: string[] = [];
  for (const file of files) {
    const text = await readFile(`${root}/${file}`, "utf8").catch(() => "");
    if (
      /\bconsole\.\w+\(|process\.(stdout|stderr)|\{[^}]*\bstd(out|err)\b[^}]*\} = process|stdio: "inherit"|process\.binding|fs\.writeSync/.test(
        text,
      )
    ) {
      writing.push(file);
    }
  }
  expect(writing.toSorted()).toEqual(Object.keys(WRITERS).toSorted());
});
