import { type Command, InvalidArgumentError, Option } from "commander";
import { addExamples, type Context, jsonOption } from "../../context.ts";
import { onDatabase } from "./db-connection.ts";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

interface DeploymentOptions {
  readonly set?: string;
  readonly new?: boolean;
  readonly json?: boolean;
}

/** `gpu-pool db deployment`: shows the id of the database's deployment, or changes it. */
export function addDbDeploymentCommand(db: Command, context: Context): void {
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
      const change = options.new ? "new" : options.set;
      const { changeDeploymentId } = await import("../../../supabase/deployment-store.ts");
      const id = await onDatabase(context, "reading the deployment of", (url) => changeDeploymentId(url, change));
      if (options.json) {
        context.output.printJson({ deployment: id });
        return;
      }
      context.output.print(id);
      if (change !== undefined) {
        context.output.note("gpu-pool: restart this deployment's Temporal workers, which read the id when they start");
      }
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
