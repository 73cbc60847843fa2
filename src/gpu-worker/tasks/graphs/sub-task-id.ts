import { v5, validate } from "uuid";

/** The id of a sub-task, the same one whoever runs its orchestrator task and however often. */
export function subTaskId(parentId: string, kind: string, index: number): string {
  const namespace = validate(parentId) ? parentId : v5(parentId, v5.URL);
  return v5(`${kind}:${index}`, namespace);
}
