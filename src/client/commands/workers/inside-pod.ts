import { execa } from "execa";
import type { PoolSettings } from "../../../contract/pool-settings.ts";
import type { SshAddress } from "../../../runpod/types.ts";
import type { Context } from "../../context.ts";
import { reasonOf } from "../../doctor/finding.ts";

const CONNECT_SEC = 10;
const DEADLINE_MS = 30_000;
const MOST_CHARS = 20_000;

/** The view from inside a pod. `commit` is that of the checkout that runs; null: there is none, or it was not visible. */
export interface InsidePod {
  readonly commit: string | null;
  readonly lines: readonly string[];
  /** Why nothing was seen; null: something was. */
  readonly problem: string | null;
}

/** Reads only. The words are quoted, because the pod's shell reads them. */
export function lookScript({
  volumeMountPath,
  headlessWan2gpFolder: folder,
}: Pick<PoolSettings, "volumeMountPath" | "headlessWan2gpFolder">): string {
  const quoted = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`;
  return [
    `echo "commit: $(git -C ${quoted(`${volumeMountPath}/${folder}`)} rev-parse HEAD 2>/dev/null)"`,
    "nvidia-smi --query-gpu=name,memory.used,memory.total,utilization.gpu --format=csv,noheader 2>&1",
    `df -h / ${quoted(volumeMountPath)} 2>&1`,
    "ps -eo pid,etime,pcpu,rss,args --sort=-pcpu 2>&1 | head -n 12",
  ].join("\n");
}

/** Logs in by the key of RUNPOD_SSH_PRIVATE_KEY_PATH and looks; it changes nothing. Never throws: it is one source of several. */
export async function lookInside(
  { env }: Pick<Context, "env">,
  { host, port, username }: SshAddress,
  keyPath: string,
  settings: PoolSettings,
): Promise<InsidePod> {
  const nothing = (problem: string): InsidePod => ({ commit: null, lines: [], problem });
  const options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"];
  const args = [
    "-i",
    keyPath,
    ...[...options, `ConnectTimeout=${CONNECT_SEC}`].flatMap((option) => ["-o", option]),
    "-p",
    String(port),
    "-l",
    username,
    host,
    lookScript(settings),
  ];
  try {
    const { stdout } = await execa("ssh", args, {
      env: { PATH: env["PATH"], HOME: env["HOME"] },
      extendEnv: false,
      stdin: "ignore",
      timeout: DEADLINE_MS,
    });
    const lines = stdout.slice(0, MOST_CHARS).split("\n");
    const commit = /^commit: ([\da-f]{40})$/m.exec(stdout)?.[1] ?? null;
    return { commit, lines: lines.filter((line) => !line.startsWith("commit:") && line !== ""), problem: null };
  } catch (error) {
    const { shortMessage, stderr } = error as { shortMessage?: string; stderr?: string };
    // The short message repeats the whole command line.
    const said = typeof stderr === "string" && stderr !== "" ? stderr.split("\n", 1)[0] : undefined;
    return nothing(`SSH to the pod failed: ${said ?? (shortMessage === undefined ? reasonOf(error) : "no answer")}`);
  }
}
