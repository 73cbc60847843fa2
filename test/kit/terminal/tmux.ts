import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { inject } from "vitest";
import { hasTool } from "../deployment/tools.ts";

/** Whether tmux, a real terminal without a window, is installed. Tests that need it are skipped without it. */
export const hasTmux = hasTool("tmux", "-V");

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

export interface Terminal {
  /** What it shows, without the spaces at the ends of lines. */
  shows(): Promise<string>;
  /** Presses keys, as tmux names them. */
  press(...keys: readonly string[]): Promise<void>;
  resize(columns: number, rows: number): Promise<void>;
  /** The exit code of the command; null: it still runs. */
  exitCode(): Promise<number | null>;
  close(): Promise<void>;
}

/** Runs the real command in a terminal of this size. The terminal stays when the command has ended. */
export async function openTerminal(
  args: readonly string[],
  { columns, rows, env }: { columns: number; rows: number; env: Readonly<Record<string, string>> },
): Promise<Terminal> {
  const folder = await mkdtemp(join(tmpdir(), "tmux-"));
  const tmux = async (...given: readonly string[]) =>
    (await execa("tmux", ["-u", "-S", join(folder, "socket"), "-f", join(folder, "conf"), ...given])).stdout;
  await writeFile(
    join(folder, "conf"),
    "set -g status off\nset -g default-terminal screen-256color\nset -g remain-on-exit on\n",
  );
  const { PATH = "", HOME = "" } = process.env;
  const variables = Object.entries({ PATH, HOME, TERM: "screen-256color", LANG: "C.UTF-8", ...env });
  const program = join(inject("shared").dist, "src/client/main.js");
  const command = [
    "env",
    "-i",
    ...variables.map(([name, value]) => `${name}=${value}`),
    process.execPath,
    program,
    ...args,
  ];
  const size = ["-x", String(columns), "-y", String(rows)];
  await tmux("new-session", "-d", ...size, "-c", ROOT, ...command);
  return {
    shows: () => tmux("capture-pane", "-p"),
    async press(...keys) {
      await tmux("send-keys", ...keys);
    },
    async resize(width, height) {
      await tmux("resize-window", "-x", String(width), "-y", String(height));
    },
    async exitCode() {
      const [isDead = "0", code = ""] = (await tmux("display-message", "-p", "#{pane_dead} #{pane_dead_status}")).split(
        " ",
      );
      return isDead === "1" ? Number(code) : null;
    },
    async close() {
      await tmux("kill-server").catch(() => undefined);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
