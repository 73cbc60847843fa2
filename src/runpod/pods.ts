import { type Api, byId, type CallOptions, changeOne, createOne, deleteOne, getOne, listAll, noId } from "./api.ts";
import type {
  ActOnPodOutcome,
  CreatePodOutcome,
  DeletePodOutcome,
  GetPodOutcome,
  ListPodsOutcome,
} from "./outcomes.ts";
import type { Read } from "./read.ts";
import { readPod, readPodPage, UNKNOWN_STATUS } from "./read-pod.ts";
import type { CreatePodRequest, Pod } from "./types.ts";

const PAGE_SIZE = 1000;

/** REST v2 has no reset: `restart` is the container's restart in place. To end a pod, use `deletePod`. */
export type PodAction = "start" | "stop" | "restart";

export interface PodCalls {
  /** Posts once. See `CreatePodOutcome` for what each answer proves. */
  createPod(request: CreatePodRequest, options?: CallOptions): Promise<CreatePodOutcome>;
  getPod(id: string, options?: CallOptions): Promise<GetPodOutcome>;
  /** All pods of the account, newest first, or `unknown` as soon as one page is missing or unreadable. */
  listPods(options?: CallOptions): Promise<ListPodsOutcome>;
  deletePod(id: string, options?: CallOptions): Promise<DeletePodOutcome>;
  /** A stopped pod stays on its host, so its start may be refused for `capacity` for ever. */
  actOnPod(id: string, action: PodAction, options?: CallOptions): Promise<ActOnPodOutcome>;
}

export function createPodCalls(api: Api): PodCalls {
  return {
    async createPod(request, { signal } = {}) {
      const what = `creating pod "${request.name}"`;
      const secrets = secretsOf(request);
      const outcome = await createOne(api, { what, path: "/pods", payload: request, secrets, read: readPod, signal });
      return outcome.kind === "created" ? { kind: "created", pod: outcome.value } : outcome;
    },
    async getPod(id, { signal } = {}) {
      const what = `reading pod "${id}"`;
      if (id === "") {
        return noId(what);
      }
      const read = (body: unknown, nowMs: number) => readShownPod(id, body, nowMs);
      const outcome = await getOne(api, { what, path: pathOf(id), read, signal });
      return outcome.kind === "found" ? { kind: "found", pod: outcome.value } : outcome;
    },
    async listPods({ signal } = {}) {
      const path = `/pods?limit=${PAGE_SIZE}`;
      const list = await listAll(api, { what: "listing pods", path, read: readPodPage, signal });
      return list.kind === "complete" ? { kind: "complete", pods: byId(list.items) } : list;
    },
    async deletePod(id, { signal } = {}) {
      const what = `deleting pod "${id}"`;
      if (id === "") {
        return noId(what);
      }
      const outcome = await deleteOne(api, { what, path: pathOf(id), signal });
      if (outcome.kind !== "refused") {
        return outcome;
      }
      // Nothing but a list proves what became of a pod, so that a refusal of its deletion proves nothing either.
      const { kind: _, status: _status, ...rest } = outcome;
      return { kind: "unknown", ...rest };
    },
    async actOnPod(id, action, { signal } = {}) {
      const what = `${action} of pod "${id}"`;
      if (id === "") {
        return noId(what);
      }
      const read = (body: unknown, nowMs: number) => readShownPod(id, body, nowMs);
      const order = { method: "POST", what, path: `${pathOf(id)}/action`, payload: { action }, read, signal } as const;
      const outcome = await changeOne(api, order);
      return outcome.kind === "done" ? { kind: "done", pod: outcome.value } : outcome;
    },
  };
}

function pathOf(id: string): string {
  return `/pods/${encodeURIComponent(id)}`;
}

function readShownPod(id: string, body: unknown, nowMs: number): Read<Pod> {
  const pod = readPod(body, nowMs);
  if (pod.ok && pod.value.status === UNKNOWN_STATUS) {
    return { ok: false, detail: "no status" };
  }
  return pod.ok && pod.value.id !== id ? { ok: false, detail: "another pod's data" } : pod;
}

/** Every value of a pod's environment may be secret, except the pod's name, which the environment repeats. */
function secretsOf(request: CreatePodRequest): string[] {
  return Object.values(request.env).filter((value) => value !== request.name);
}
