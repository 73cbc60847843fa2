import { type Api, byId, type CallOptions, createOne, deleteOne, getOne, listAll, noId } from "./api.ts";
import type { Absent, Ambiguous, DeleteOutcome, Refused, Unknown } from "./outcomes.ts";
import { fieldsOf, type Page, type Read, readId, readPage, textOf } from "./read.ts";

/** The login for a private container registry. The provider never shows user name and password again. */
export interface Registry {
  /** For `registry` of a create request. */
  readonly id: string;
  readonly name: string | null;
}

export interface CreateRegistryRequest {
  readonly name: string;
  readonly username: string;
  readonly password: string;
}

export type ListRegistriesOutcome = { readonly kind: "complete"; readonly registries: readonly Registry[] } | Unknown;

export type GetRegistryOutcome = { readonly kind: "found"; readonly registry: Registry } | Absent | Unknown;

/** After `ambiguous` the login may be stored, and lists show it. */
export type CreateRegistryOutcome = { readonly kind: "created"; readonly registry: Registry } | Refused | Ambiguous;

export interface RegistryCalls {
  listRegistries(options?: CallOptions): Promise<ListRegistriesOutcome>;
  getRegistry(id: string, options?: CallOptions): Promise<GetRegistryOutcome>;
  /** Posts once. User name and password stand in no outcome. */
  createRegistry(request: CreateRegistryRequest, options?: CallOptions): Promise<CreateRegistryOutcome>;
  /** Refused while a pod uses it. */
  deleteRegistry(id: string, options?: CallOptions): Promise<DeleteOutcome>;
}

export function createRegistryCalls(api: Api): RegistryCalls {
  return {
    async listRegistries({ signal } = {}) {
      const order = { what: "listing registry logins", path: "/registries", read: readRegistryPage, signal };
      const list = await listAll(api, order);
      return list.kind === "complete" ? { kind: "complete", registries: byId(list.items) } : list;
    },
    async getRegistry(id, { signal } = {}) {
      const what = `reading registry login "${id}"`;
      if (id === "") {
        return noId(what);
      }
      const read = (body: unknown) => readShownRegistry(id, body);
      const outcome = await getOne(api, { what, path: pathOf(id), read, signal });
      return outcome.kind === "found" ? { kind: "found", registry: outcome.value } : outcome;
    },
    async createRegistry({ name, username, password }, { signal } = {}) {
      const order = {
        what: `creating registry login "${name}"`,
        path: "/registries",
        payload: { name, username, password },
        secrets: [username, password].filter((secret) => secret !== name),
        read: readRegistry,
        signal,
      };
      const outcome = await createOne(api, order);
      return outcome.kind === "created" ? { kind: "created", registry: outcome.value } : outcome;
    },
    async deleteRegistry(id, { signal } = {}) {
      const what = `deleting registry login "${id}"`;
      return id === "" ? noId(what) : await deleteOne(api, { what, path: pathOf(id), signal });
    },
  };
}

function pathOf(id: string): string {
  return `/registries/${encodeURIComponent(id)}`;
}

/** An entry without an id cannot be used in a create request, so it is left out. */
function readRegistryPage(body: unknown): Read<Page<Registry>> {
  const page = readPage(body, { key: "registries", nouns: "registry logins", inOnePiece: true });
  if (!page.ok) {
    return page;
  }
  const items = page.value.items.flatMap((entry) => {
    const registry = readRegistry(entry);
    return registry.ok ? [registry.value] : [];
  });
  return { ok: true, value: { items, nextCursor: page.value.nextCursor } };
}

function readShownRegistry(id: string, body: unknown): Read<Registry> {
  const registry = readRegistry(body);
  return registry.ok && registry.value.id !== id ? { ok: false, detail: "another login's data" } : registry;
}

function readRegistry(body: unknown): Read<Registry> {
  const id = readId(body, "registry login");
  return id.ok ? { ok: true, value: { id: id.value, name: textOf(fieldsOf(body)["name"]) } } : id;
}
