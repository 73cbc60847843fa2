import type { Parameter } from "../../../task-types/parameters.ts";
import type { TaskType } from "../../../task-types/task-type.ts";
import type { Context } from "../../context.ts";
import { ClientError, EXIT } from "../../errors.ts";
import type { JsonOptions } from "../../options.ts";
import { taskTypeTable } from "../../own-types.ts";
import { renderTaskType, renderTaskTypes } from "../../render/task-types.ts";

/** Shows the table of task types, or one of them with its parameters. @throws ClientError when it has no such type */
export async function showTypes(context: Context, name: string | undefined, { json }: JsonOptions): Promise<void> {
  const { output } = context;
  const { types, find } = await taskTypeTable(context);
  const { columns } = output.size();
  if (name === undefined) {
    if (json) {
      output.printJson(types.map(described));
    } else {
      output.print(renderTaskTypes(types, columns, output.style));
      output.note("gpu-pool types <name> shows the parameters of a type");
    }
    return;
  }
  const type = find(name);
  if (type === undefined) {
    throw new ClientError(
      EXIT.notFound,
      `the table has no task type ${name}`,
      "gpu-pool types lists them. A database may have more, in task_types.",
    );
  }
  if (json) {
    output.printJson(described(type));
  } else {
    output.print(renderTaskType(type, columns, output.style));
  }
}

/** Without the schemas, which have no JSON. */
function described({
  name,
  aliases,
  kind,
  meaning,
  model,
  needs,
  stuckTimeoutSec,
  expectedSec,
  doers,
  oneOf,
  parameters,
}: TaskType) {
  const type = { name, aliases, kind, meaning, model, needs, stuckTimeoutSec, expectedSec, doers, oneOf };
  return { ...type, parameters: parameters.map(describedParameter) };
}

function describedParameter({ kind, fallback, fixed, ...parameter }: Parameter) {
  return { ...parameter, allowed: kind.allowed, default: fixed ?? fallback ?? null, isFixed: fixed !== undefined };
}
