import type { TaskType } from "../../task-types/task-type.ts";
import { TASK_TYPES } from "../../task-types/task-types.ts";

/**
 * SQL that adds the task types which the database lacks. A row that is there stays as it is: somebody may have changed
 * it. It may be run again.
 * @param types their names are checked: letters, digits and underscores
 */
export function missingTaskTypes(types: readonly TaskType[] = TASK_TYPES): string {
  const rows = types.flatMap(({ name, aliases, kind, stuckTimeoutSec, expectedSec }) => [
    `('${name}', null, ${stuckTimeoutSec ?? "null"}, ${expectedSec ?? "null"}, ${kind !== "orchestrator"})`,
    ...aliases.map((alias) => `('${alias}', '${name}', null, null, false)`),
  ]);
  // An adopted table may require columns that these rows lack. Nothing depends on these rows.
  return `do $gpu_pool_types$
begin
  insert into public.task_types (name, alias_of, stuck_timeout_sec, expected_sec, needs_file) values
    ${rows.join(",\n    ")}
  on conflict do nothing;
exception when not_null_violation or foreign_key_violation or check_violation then
  raise notice 'the known task types were not added to task_types: %', sqlerrm;
end $gpu_pool_types$;`;
}
