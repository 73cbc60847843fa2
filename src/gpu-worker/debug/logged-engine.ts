import type { Logger } from "pino";
import type { Engine, EngineJob, Generated, Make } from "../engines/engine.ts";
import type { Debug, Expected } from "./debug.ts";

/** The engine, with a log of its runs, and each of its files measured and compared with what was to be made. */
export function withDebug(engine: Engine, debug: Debug, logger: Logger): Engine {
  async function follow(job: EngineJob, make: Make, model: string | null, run: () => Promise<Generated>) {
    const startedMs = Date.now();
    logger.info({ engine: engine.name, job, model, make }, "model run begun");
    const generated = await run();
    const seconds = Math.round(Date.now() - startedMs) / 1_000;
    logger.info({ engine: engine.name, job, model: generated.modelUsed, seconds }, "model run ended");
    for (const file of generated.files) {
      await debug.measure("WGP_DEBUG", `after ${job}`, file, expectedOf(make));
    }
    return generated;
  }
  const { transform } = engine;
  return {
    ...engine,
    can: (job) => engine.can(job),
    generate: (request) => follow("generate", request.make, request.model, () => engine.generate(request)),
    ...(transform && {
      transform: (request) => follow(request.job, request.make, null, () => transform.call(engine, request)),
    }),
  };
}

function expectedOf(make: Make): Expected {
  const { width, height } = make;
  return make.kind === "video" ? { frames: make.frames, fps: make.fps, width, height } : { frames: 1, width, height };
}
