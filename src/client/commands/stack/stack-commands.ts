import type { Command } from "commander";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import { addExamples, jsonOption, poolOption } from "../../options.ts";
import type { DevOptions } from "./dev.ts";
import type { SecretsOptions } from "./gateway-secrets.ts";
import type { RunOptions } from "./run.ts";

export function addStackCommands(program: Command, context: Context): void {
  addDev(program, context);
  addRun(program, context);
  addGateway(program, context);
}

function addRun(program: Command, context: Context): void {
  const run = program
    .command("run")
    .description("serve the workflows: the Temporal worker, in this process until Ctrl-C; logs JSON lines")
    .option("--start", "also start the pool, which rents its MIN at once")
    .addOption(poolOption())
    .action(async (options: RunOptions) => {
      const { runTemporalWorker } = await import("./run.ts");
      await runTemporalWorker(context, options);
    });
  addExamples(run, [
    ["gpu-pool run", "beside gpu-pool pool start; as many of these processes as you like"],
    ["gpu-pool run --start --pool nightly", "with its pool, from one command"],
  ]);
}

function addGateway(program: Command, context: Context): void {
  const gateway = program
    .command("gateway")
    .description("serve REST, storage and functions in front of a Postgres of your own, until Ctrl-C; logs JSON lines")
    .action(async () => {
      const { runGateway } = await import("./gateway.ts");
      await runGateway(context);
    });
  addExamples(gateway, [["gpu-pool gateway", "in place of a hosted project; needs PostgREST beside it"]]);
  const secrets = gateway
    .command("secrets")
    .description("make the secrets of a project of your own as files, as far as they are missing")
    .argument("<folder>", "where they are kept; closed to everybody else")
    .option("--database <address>", "host[:port]/name of its Postgres", "database:5432/gpu_pool")
    .addOption(jsonOption())
    .action(async (folder: string, options: SecretsOptions) => {
      const { makeSecrets } = await import("./gateway-secrets.ts");
      await makeSecrets(context, folder, options);
    });
  addExamples(secrets, [["gpu-pool gateway secrets ./secrets", "before the first start; keeps what is there"]]);
}

/** An image or an installation for production lacks the packages that the local stack is made of. */
function withoutStack(error: unknown): ClientError | null {
  const { code, message } = error as NodeJS.ErrnoException;
  const [, missing] = /^Cannot find package '([^']+)'/.exec(message) ?? [];
  if (code !== "ERR_MODULE_NOT_FOUND" || missing === undefined) {
    return null;
  }
  return new ClientError(
    EXIT.usage,
    `this installation does not contain the local stack of gpu-pool dev (package ${missing} is missing), as an image does not`,
    "Use real services (SUPABASE_URL, TEMPORAL_ADDRESS, …), or run gpu-pool dev in a clone of the repository after npm ci.",
    { cause: error },
  );
}

function addDev(program: Command, context: Context): void {
  const dev = program
    .command("dev")
    .description("run everything here: Temporal and its worker, Postgres with its API, a simulated Runpod, and a pool")
    .option("--data-dir <path>", "where it keeps its state (default: .gpu-pool/dev)")
    .option("--no-worker", "without the Temporal worker")
    .addOption(poolOption())
    .option("--no-pool", "without starting a pool")
    .addOption(jsonOption())
    .action(async (options: DevOptions) => {
      const { runDev } = await import("./dev.ts").catch((error: unknown) => {
        throw withoutStack(error) ?? error;
      });
      await runDev(context, options);
    });
  addExamples(dev, [
    ["gpu-pool dev", "the whole stack, until Ctrl-C"],
    ["gpu-pool dev --data-dir /tmp/pool-a", "with a state of its own"],
    ["gpu-pool dev --no-worker", "beside a Temporal worker that you start yourself"],
  ]);
}
