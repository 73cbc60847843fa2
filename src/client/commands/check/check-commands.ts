import { type Command, InvalidArgumentError, Option } from "commander";
import type { Context } from "../../context.ts";
import { addExamples, durationSec, jsonOption, type JsonOptions, poolOption } from "../../options.ts";
import type { DeploymentOptions } from "./db-deployment.ts";
import type { DoctorOptions } from "./doctor.ts";
import type { MigrateOptions } from "./db-migrate.ts";
import type { JanitorOptions } from "./janitor.ts";
import type { SetupOptions } from "./temporal-setup.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export function addCheckCommands(program: Command, context: Context): void {
  const db = program.command("db").description("prepare the database, and check its schema");
  addBootstrap(db, context);
  addMigrate(db, context);
  addStatus(db, context);
  addVerify(db, context);
  addDeployment(db, context);
  addJanitor(program, context);
  addDoctor(program, context);
  addTemporalSetup(program, context);
}

function addBootstrap(db: Command, context: Context): void {
  const bootstrap = db
    .command("bootstrap")
    .description(
      "give a plain Postgres what a hosted project has (needs SUPABASE_DB_URL of a superuser, GATEWAY_DB_URL)",
    )
    .addOption(jsonOption())
    .action(async (options: JsonOptions) => {
      const { bootstrapDatabase } = await import("./db-bootstrap.ts");
      await bootstrapDatabase(context, options);
    });
  addExamples(bootstrap, [["gpu-pool db bootstrap", "before db migrate, on a Postgres of your own; may run again"]]);
}

function addMigrate(db: Command, context: Context): void {
  const migrate = db
    .command("migrate")
    .description("apply the migrations that the database lacks (needs SUPABASE_DB_URL)")
    .option("--print", "print one SQL script for an SQL editor instead (needs no connection)")
    .addOption(jsonOption())
    .action(async (options: MigrateOptions) => {
      const { migrateDatabase } = await import("./db-migrate.ts");
      await migrateDatabase(context, options);
    });
  addExamples(migrate, [
    ["gpu-pool db migrate", "bring the database up to date"],
    ["gpu-pool db migrate --env-file .env.production", "another database"],
    ["gpu-pool db migrate --print > setup.sql", "for the SQL editor of a hosted project"],
  ]);
}

function addStatus(db: Command, context: Context): void {
  const status = db
    .command("status")
    .description("show which migrations are applied and which are pending (needs SUPABASE_DB_URL)")
    .addOption(jsonOption())
    .action(async (options: JsonOptions) => {
      const { showMigrations } = await import("./db-status.ts");
      await showMigrations(context, options);
    });
  addExamples(status, [["gpu-pool db status", "what would db migrate do?"]]);
}

function addVerify(db: Command, context: Context): void {
  const verify = db
    .command("verify")
    .description("compare the schema with what the migrations make (needs SUPABASE_DB_URL)")
    .addOption(jsonOption())
    .action(async (options: JsonOptions) => {
      const { verifySchema } = await import("./db-verify.ts");
      await verifySchema(context, options);
    });
  addExamples(verify, [["gpu-pool db verify", "was anything changed by hand?"]]);
}

function addDeployment(db: Command, context: Context): void {
  const deployment = db
    .command("deployment")
    .description("show or change the id by which deployments know what is theirs (needs SUPABASE_DB_URL)")
    .addOption(
      new Option("--set <id>", "for a database that was made anew: take over the deployment of this id").argParser(
        parseId,
      ),
    )
    .addOption(new Option("--new", "for a copy of another deployment's database: a random id").conflicts("set"))
    .addOption(jsonOption())
    .action(async (options: DeploymentOptions) => {
      const { showDeployment } = await import("./db-deployment.ts");
      await showDeployment(context, options);
    });
  addExamples(deployment, [
    ["gpu-pool db deployment", "which deployment is this database?"],
    ["gpu-pool db deployment --new", "the database is a copy: whatever the original has is no longer ours"],
  ]);
}

function parseId(text: string): string {
  if (!UUID.test(text)) {
    throw new InvalidArgumentError("Expected a deployment's id, a UUID.");
  }
  return text.toLowerCase();
}

function addJanitor(program: Command, context: Context): void {
  const janitor = program
    .command("janitor")
    .description("compare pods, rows and workflows now, and repair; the janitor does so every five minutes")
    .option("--dry-run", "change nothing; show what would be done")
    .addOption(jsonOption())
    .action(async (options: JanitorOptions) => {
      const { runJanitor } = await import("./janitor.ts");
      await runJanitor(context, options);
    });
  addExamples(janitor, [
    ["gpu-pool janitor --dry-run", "pod, row, workflow and verdict of each worker; changes nothing"],
    ["gpu-pool janitor", "one round of repairs and clean-up now"],
    ["gpu-pool janitor --dry-run --json | jq '.workers.findings[] | select(.verdict != \"kept\")'", "for programs"],
  ]);
}

function addDoctor(program: Command, context: Context): void {
  const doctor = program
    .command("doctor")
    .description("look at everything that a pool needs, and say what to do where it cannot work")
    .addOption(poolOption())
    .addOption(jsonOption())
    .option("--create-task", "also put one small task in the queue, and try a worker's token")
    .option("--spawn-test", "also rent one pod, which looks from inside; shows its price and asks")
    .option("-y, --yes", "agree to the price of the spawn test")
    .action(async (options: DoctorOptions) => {
      const { runDoctor } = await import("./doctor.ts");
      await runDoctor(context, options);
    });
  addExamples(doctor, [
    ["gpu-pool doctor", "before the first pod is rented, and when something does not work"],
    ["gpu-pool doctor --pool night", "by the settings of this pool"],
    ["gpu-pool doctor --create-task", "once the pool runs: does a task get through?"],
    ["gpu-pool doctor --spawn-test", "once a Temporal worker runs: costs a few cents"],
    ["gpu-pool doctor --json | jq '.findings[] | select(.state == \"failed\")'", "for programs"],
  ]);
}

function addTemporalSetup(program: Command, context: Context): void {
  const setup = program
    .command("temporal")
    .description("prepare a Temporal server")
    .command("setup")
    .description("make the namespace and its search attributes on a server of your own, as far as they are missing")
    .addOption(
      new Option(
        "--retention <duration>",
        "how long ended workflows are kept, such as 7d (default: as it is; 7d for a new namespace)",
      ).argParser(durationSec),
    )
    .addOption(jsonOption())
    .action(async (options: SetupOptions) => {
      const { setUpTemporal } = await import("./temporal-setup.ts");
      await setUpTemporal(context, options);
    });
  addExamples(setup, [
    ["gpu-pool temporal setup", "once, before the first Temporal worker"],
    ["gpu-pool temporal setup --retention 30d", "look a month back in the Web UI"],
  ]);
}
