import { plausibleNumber, plausiblePrice, plausibleTime } from "./plausible.ts";
import { fieldsOf, type Page, type Read, readId, readPage, textOf } from "./read.ts";
import type { Pod } from "./types.ts";

/** The environment variable in which a pod has the id of its deployment. */
export const DEPLOYMENT_MARK = "GPU_POOL_DEPLOYMENT";
/** The status of a pod of which the provider shows none. */
export const UNKNOWN_STATUS = "UNKNOWN";

const LONGEST_STATUS = 40;
/** Statuses in which a pod costs nothing. */
const ENDED: ReadonlySet<string> = new Set(["EXITED", "TERMINATED"]);
/** The form of the names that pools give to their pods. */
const POOL_POD_NAME = /-[0-9a-f]{8}$/;

/**
 * Reads one pod. Any field but the id may be missing, new or odd: its value is then unknown. `detail` names fields, never
 * their values.
 */
export function readPod(body: unknown, nowMs: number): Read<Pod> {
  const id = readId(body, "pod");
  if (!id.ok) {
    return id;
  }
  const raw = fieldsOf(body);
  const status = textOf(raw["status"], LONGEST_STATUS) ?? UNKNOWN_STATUS;
  const uptimeSec = plausibleNumber(fieldsOf(raw["runtime"])["uptime"]);
  return {
    ok: true,
    value: {
      id: id.value,
      name: textOf(raw["name"]),
      status,
      gpuTypeId: textOf(fieldsOf(raw["gpu"])["id"]),
      costPerHour: ENDED.has(status) && plausibleNumber(raw["cost"]) === 0 ? 0 : plausiblePrice(raw["cost"]),
      createdAt: plausibleTime(raw["createdAt"], nowMs),
      startedAt: plausibleTime(raw["startedAt"], nowMs),
      uptimeSec: uptimeSec !== null && uptimeSec >= 0 ? uptimeSec : null,
      env: readEnv(raw["env"]),
      ...readSsh(raw["ssh"]),
    },
  };
}

/**
 * Reads one page of a list. A page that does not show whether more pods exist is an error. So is an entry without a
 * readable id, if its name or its mark says that it may be ours: the list cannot prove that a pod of ours is gone. Any
 * other entry without an id is left out, because a foreign pod must not hide ours.
 */
export function readPodPage(body: unknown, nowMs: number): Read<Page<Pod>> {
  const page = readPage(body, { key: "pods", nouns: "pods" });
  if (!page.ok) {
    return page;
  }
  const items: Pod[] = [];
  for (const [index, entry] of page.value.items.entries()) {
    const pod = readPod(entry, nowMs);
    if (pod.ok) {
      items.push(pod.value);
    } else if (mayBeOurs(entry)) {
      return { ok: false, detail: `entry ${index}, which may be a pod of ours: ${pod.detail}` };
    }
  }
  return { ok: true, value: { items, nextCursor: page.value.nextCursor } };
}

function mayBeOurs(entry: unknown): boolean {
  const { name, env } = fieldsOf(entry);
  return (typeof name === "string" && POOL_POD_NAME.test(name)) || DEPLOYMENT_MARK in fieldsOf(env);
}

/** A host or user name; one that began with a dash would be an option of ssh. */
const SSH_WORD = /^[A-Za-z0-9][\w.:-]*$/;

function readSsh(raw: unknown): Pick<Pod, "ssh"> {
  const { host, port, username } = fieldsOf(fieldsOf(raw)["direct"]);
  const [where, who] = [textOf(host), textOf(username)];
  const isPort = typeof port === "number" && Number.isInteger(port) && port > 0 && port < 65_536;
  return isPort && where !== null && who !== null && SSH_WORD.test(where) && SSH_WORD.test(who)
    ? { ssh: { host: where, port, username: who } }
    : {};
}

function readEnv(raw: unknown): Pod["env"] {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
    return null;
  }
  return Object.fromEntries(
    Object.entries(raw).filter((pair): pair is [string, string] => typeof pair[1] === "string"),
  );
}
