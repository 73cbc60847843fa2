import type { Database } from "../client.ts";
import { readAll } from "../requests.ts";
import { type Row, TABLES } from "../tables.ts";

type NameRow = Pick<Row<"task_types">, "name" | "alias_of">;

export interface TaskTypeStore {
  /** Every type of the database; an alias with the name under which its tasks are stored, any other with null. */
  names(): Promise<ReadonlyMap<string, string | null>>;
}

export function taskTypeStore({ [TABLES]: client }: Database): TaskTypeStore {
  return {
    async names() {
      const rows = await readAll<NameRow>("read task types", (count, last) => {
        const types = client.from("task_types").select("name, alias_of");
        return (last === undefined ? types : types.gt("name", last.name)).order("name").limit(count);
      });
      return new Map(rows.map(({ name, alias_of: aliasOf }) => [name, aliasOf]));
    },
  };
}
