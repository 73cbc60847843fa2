import { rename } from "node:fs/promises";
import { join } from "node:path";
import { sizeOf } from "../../task-types/size.ts";
import { download } from "../inputs/download.ts";
import { probeInput } from "../inputs/probe-input.ts";
import { Refusal } from "../../net/refusal.ts";
import { contentTypeOf } from "../output-files.ts";
import { createReplicate, type Replicate, ReplicateError, type ReplicateSettings } from "../services/replicate.ts";
import { forgetPrediction, runPrediction, type PredictionRun } from "../services/resumed-prediction.ts";
import type { Handler, Outcome, TaskRun, TypeHandlers } from "./handler.ts";
import { ParamsError } from "./params-error.ts";
import { chooseSeed } from "./resolve-task.ts";

const MODEL = "black-forest-labs/flux-kontext-dev-lora";
/** Keeps the scene of the picture. */
const IN_SCENE = "https://huggingface.co/peteromallet/Flux-Kontext-InScene/resolve/main/InScene-v1.0.safetensors";
const RATIOS = ["1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "4:5", "5:4", "21:9", "9:21", "2:1", "1:2"];
const TIMEOUT_SEC = 1_800;
const POLL_MS = 1_000;
const MAX_RESULT_BYTES = 200_000_000;
const DOWNLOAD_TIMEOUT_MS = 120_000;

interface MagicEditOptions extends ReplicateSettings {
  readonly pollMs?: number;
}

/** The types that Replicate does; none without its token. */
export function createReplicateHandlers(options: MagicEditOptions | null): TypeHandlers {
  if (options === null) {
    return {};
  }
  const replicate = createReplicate(options);
  const handle: Handler = (run) => magicEdit(run, replicate, options.pollMs ?? POLL_MS);
  return { magic_edit: { handle, jobs: [] } };
}

async function magicEdit(run: TaskRun, replicate: Replicate, pollMs: number): Promise<Outcome> {
  const { values, signal, logger, task } = run;
  const seed = typeof values["seed"] === "number" ? values["seed"] : chooseSeed(-1, task.leaseToken);
  const aspectRatio = ratioOf(values["resolution"]);
  const inScene = values["in_scene"] === true;
  const predicting: PredictionRun = {
    replicate,
    signal,
    logger,
    pollMs,
    requests: run.requests,
    onProgress: run.progress,
    timeoutSec: TIMEOUT_SEC,
  };
  const order = {
    model: MODEL,
    markField: "input_image",
    prepare: async () => {
      const picture = await run.inputs.fetch("image_url", String(values["image_url"]), "picture");
      const mark = await replicate.upload(picture.path, contentTypeOf(picture.path));
      const input = {
        prompt: String(values["prompt"]),
        input_image: mark,
        aspect_ratio: aspectRatio ?? "match_input_image",
        seed,
        output_format: "png",
        ...(inScene && { lora_weights: IN_SCENE, lora_strength: 1 }),
      };
      return { input, mark };
    },
  };
  const prediction = await runPrediction(order, predicting).catch((error: unknown) => {
    throw asParamsError(error);
  });
  const main = await fetchResult(run, addressOf(prediction.output), replicate.origin).catch(async (error: unknown) => {
    // Replicate keeps a result for an hour. Without it a new one is needed.
    if (error instanceof Refusal) {
      await forgetPrediction(predicting);
    }
    throw error;
  });
  return {
    kind: "files",
    main,
    model: MODEL,
    engine: "replicate",
    result: { prediction_id: prediction.id, in_scene: inScene, seed: prediction.input["seed"] ?? seed },
    notHonoured:
      aspectRatio === null
        ? []
        : [{ param: "resolution", reason: `the model takes a ratio and chooses the size: ${aspectRatio}` }],
  };
}

/** The nearest ratio that the model knows; null: none was asked for. */
function ratioOf(resolution: unknown): string | null {
  if (typeof resolution !== "string") {
    return null;
  }
  const { width, height } = sizeOf(resolution);
  const distance = (ratio: string) => {
    const [w = 1, h = 1] = ratio.split(":").map(Number);
    return Math.abs(Math.log((width / height / w) * h));
  };
  return RATIOS.toSorted((a, b) => distance(a) - distance(b))[0] ?? null;
}

/** What the model declines of the input, it declines again. */
function asParamsError(error: unknown): unknown {
  const isDeclined = error instanceof ReplicateError && (error.status === 400 || error.status === 422);
  return isDeclined ? new ParamsError(`params: ${error.message}`, { cause: error }) : error;
}

function addressOf(output: unknown): string {
  const first: unknown = Array.isArray(output) ? output[0] : output;
  if (typeof first !== "string" || !URL.canParse(first)) {
    throw new Error("Replicate: the prediction succeeded without an address of its result");
  }
  return first;
}

async function fetchResult(run: TaskRun, address: string, ownOrigin: string): Promise<string> {
  const { workDir, basename, signal, ffmpeg, logger } = run;
  const path = join(workDir, `${basename}.part`);
  logger.info("fetching the result from Replicate");
  await download(new URL(address), path, {
    ownOrigin,
    signal,
    maxBytes: MAX_RESULT_BYTES,
    timeoutMs: DOWNLOAD_TIMEOUT_MS,
  });
  const { extension } = await probeInput(path, "picture", ffmpeg.path, signal);
  const main = join(workDir, `${basename}.${extension}`);
  await rename(path, main);
  return main;
}
