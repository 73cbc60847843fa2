/** A notification as one text, as Slack and its look-alikes take it: `{"text": …}`. */
export function slackText(kind: string, payload: Readonly<Record<string, unknown>>): string {
  return escaped(kind === "pool.alert" ? alertText(payload) : taskText(kind, payload));
}

function alertText({ alert, state, subject, pool, message, what_to_do: advice }: Readonly<Record<string, unknown>>) {
  const where = typeof pool === "string" && pool !== subject ? ` in pool ${pool}` : "";
  const head = `gpu-pool: ${String(alert)} ${String(state)} (${String(subject)}${where})`;
  return state === "closed" ? `${head}\nIt was: ${String(message)}` : `${head}\n${String(message)}\n${String(advice)}`;
}

function taskText(kind: string, { task_id: id, video_url: url, error }: Readonly<Record<string, unknown>>) {
  const rest = [url, error].filter((part) => typeof part === "string" && part !== "");
  return [`gpu-pool: ${kind} ${String(id)}`, ...rest].join("\n");
}

/** These three begin Slack's own marks. */
function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
