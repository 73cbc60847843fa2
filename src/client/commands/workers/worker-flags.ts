import { type Command, InvalidArgumentError, Option } from "commander";
import { type LocalOptions, localOptions, type PoolOptions, poolOption } from "../../options.ts";

export interface WorkerRunFlags extends PoolOptions, LocalOptions {
  readonly id?: string;
  readonly engine?: string;
  readonly mainOutputDir?: string;
  readonly debug?: boolean;
  readonly skipCleanup?: boolean;
  /** A folder, or a file in it; true: logs. */
  readonly saveLogging?: string | true;
  /** In seconds. */
  readonly pollInterval?: number;
  readonly deleteDb?: boolean;
  readonly migrateOnly?: boolean;
  readonly supabaseUrl?: string;
  readonly supabaseAnonKey?: string;
  readonly supabaseAccessToken?: string;
}

const ENGINE = "it is a setting of Wan2GP, which runs no model here yet; say what a task needs in its parameters";

/** Flags of Headless-Wan2GP that this worker does not have, and why. */
export const REFUSED: Readonly<Record<string, string>> = {
  "apply-reward-lora": "name the LoRA in the task's parameters: activated_loras",
  "colour-match-videos": "say it in the parameters of the task that it is for",
  "mask-active-frames": "say it in the parameters of the task that it is for",
  "no-mask-active-frames": "say it in the parameters of the task that it is for",
  "preload-model": ENGINE,
  "queue-workers": "a worker does one task at a time, which is what a GPU can do; run several workers for several GPUs",
  ...Object.fromEntries(
    (
      "attention-mode compile profile vae-config boost transformer-quantization transformer-dtype-policy " +
      "text-encoder-quantization vae-precision mixed-precision preload-policy preload"
    )
      .split(" ")
      .map((name) => [`wgp-${name}`, ENGINE]),
  ),
};

export function addWorkerFlags(run: Command): void {
  run.option("--id <id>", "the worker's id, used once (default: a random one)").addOption(poolOption());
  const flags = [
    new Option("--engine <name>", "in place of WORKER_ENGINE: preview draws pictures and runs no model").choices([
      "preview",
    ]),
    ...localOptions(),
    new Option("--delete-db", "with sqlite: begin with an empty file; all its tasks are lost"),
    new Option("--migrate-only", "with sqlite: bring an older file up to date, then end"),
    new Option(
      "--main-output-dir <path>",
      "the folder of unfinished files (default: outputs beside the file of tasks)",
    ),
    new Option("--poll-interval <sec>", "seconds between two looks at an idle queue").argParser(pollSec),
    new Option("--debug", "log everything and keep the files of each step"),
    new Option("--skip-cleanup", "keep the files of each step"),
    new Option("--save-logging [folder]", "also write the log to files in this folder (default: logs)"),
    new Option("--supabase-url <url>", "in place of SUPABASE_URL"),
    new Option("--supabase-anon-key <key>", "in place of SUPABASE_ANON_KEY"),
    new Option(
      "--supabase-access-token <token>",
      "a user's JWT or personal token (default: WORKER_ACCESS_TOKEN): that user's tasks only; or the service key",
    ),
    // The spellings of Headless-Wan2GP.
    new Option("--worker <id>").hideHelp(),
    new Option("--skip_cleanup").hideHelp(),
    new Option("--reigh-access-token <token>").hideHelp(),
    ...Object.keys(REFUSED).map((name) => new Option(`--${name} [value]`).hideHelp()),
  ];
  for (const flag of flags) {
    run.addOption(flag);
  }
}

function pollSec(text: string): number {
  const value = Number(text);
  if (!(value >= 0.05 && value <= 60)) {
    throw new InvalidArgumentError("Expected seconds from 0.05 to 60.");
  }
  return value;
}
