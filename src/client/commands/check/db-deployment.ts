import type { Context } from "../../context.ts";
import type { JsonOptions } from "../../options.ts";
import { changeDeploymentId } from "../../../supabase/deployment-store.ts";
import { onDatabase } from "./db-connection.ts";

export interface DeploymentOptions extends JsonOptions {
  readonly set?: string;
  readonly new?: boolean;
}

/** Shows the id of the database's deployment, or changes it. @throws ClientError, ConfigError */
export async function showDeployment(context: Context, options: DeploymentOptions): Promise<void> {
  const change = options.new ? "new" : options.set;
  const id = await onDatabase(context, "reading the deployment of", (url) => changeDeploymentId(url, change));
  if (options.json) {
    context.output.printJson({ deployment: id });
    return;
  }
  context.output.print(id);
  if (change !== undefined) {
    context.output.note("gpu-pool: restart this deployment's Temporal workers, which read the id when they start");
  }
}
