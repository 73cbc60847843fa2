/**
 * A deployment is one database with all that works on it. Its id is in the memo of each of its workflows, and in a header
 * of each activity that they schedule, both under this name.
 */
export const DEPLOYMENT = "deployment";

/** The id that a memo holds; null: none. Such a workflow belongs to the deployment that holds its task queue. */
export function deploymentOf(memo: Readonly<Record<string, unknown>> | undefined): string | null {
  const id = memo?.[DEPLOYMENT];
  return typeof id === "string" ? id : null;
}
