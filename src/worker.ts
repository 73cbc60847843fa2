import { withoutHidden } from "../supabase/functions/_shared/text.ts";
import { ConfigError } from "./config/config.ts";
import { createLogger } from "./logger.ts";
import { endSoon } from "./worker/end-of-process.ts";
import { DeploymentConflict } from "./worker/own-deployment.ts";
import { serve } from "./worker/serve.ts";

/** As the exit codes of gpu-pool, which runs the same code as `gpu-pool run`. */
const EXIT = { failed: 1, usage: 2, unreachable: 4 } as const;

serve().then(endSoon, (error: unknown) => {
  if (error instanceof ConfigError || error instanceof DeploymentConflict) {
    process.stderr.write(
      error.message
        .split("\n")
        .map((line) => `${withoutHidden(line)}\n`)
        .join(""),
    );
    process.exit(error instanceof ConfigError ? EXIT.usage : EXIT.failed);
  }
  createLogger({ level: "error", name: "gpu-pool" }).fatal({ err: error }, "the Temporal worker cannot go on");
  process.exit(error instanceof Error && error.name === "TransportError" ? EXIT.unreachable : EXIT.failed);
});
