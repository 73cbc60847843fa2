import { type TaskRow } from "../../../../supabase/task-store.ts";

const MAX_NAME_CHARS = 120;
/** Windows reserves these names, whatever their extension. */
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i;

/** Where the files of a task's result are, the main one first, each once. */
export function resultLocations({
  output_location: main,
  result_data: result,
}: Pick<TaskRow, "output_location" | "result_data">): string[] {
  const fields = typeof result === "object" && result !== null && !Array.isArray(result) ? result : {};
  const named = ["video_url", "image_url", "file_url", "image_urls", "other_urls"].flatMap(
    (name) => fields[name] ?? [],
  );
  const texts = [main, ...named].filter((each): each is string => typeof each === "string" && each !== "");
  return [...new Set(texts)];
}

/**
 * A name for the file at this location that is safe in any folder: the end of its path, without what a file system or a terminal
 * takes for something else.
 * @param taken names that other files of the same task have; the answer is added to them
 */
export function safeName(location: string, taskId: string, taken: Set<string>): string {
  const path = URL.canParse(location) ? new URL(location).pathname : location;
  const last = decoded(path.split(/[/\\]/).at(-1) ?? "");
  const clean = last
    .normalize("NFC")
    .replaceAll(/[^\p{L}\p{N}._ -]/gu, "_")
    .replaceAll(/^[.\s-]+|[.\s]+$/g, "")
    .slice(-MAX_NAME_CHARS);
  const named = `${taskId.slice(0, 8)}-${clean === "" || RESERVED.test(clean) ? `result-${clean}` : clean}`;
  const dot = named.lastIndexOf(".");
  const [stem, extension] = dot > 0 ? [named.slice(0, dot), named.slice(dot)] : [named, ""];
  let name = named;
  for (let count = 2; taken.has(name.toLowerCase()); count += 1) {
    name = `${stem}-${count}${extension}`;
  }
  taken.add(name.toLowerCase());
  return name;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
