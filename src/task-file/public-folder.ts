import { dirname, join } from "node:path";

/** The folder beside the file of tasks to which the locations of results are relative. */
export function publicFolder(databaseFile: string): string {
  return join(dirname(databaseFile), "public");
}
