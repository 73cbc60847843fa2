import { type Api, byId, type CallOptions, changeOne, createOne, deleteOne, getOne, listAll, noId } from "./api.ts";
import type { Absent, Ambiguous, DeleteOutcome, Refused, Unknown } from "./outcomes.ts";
import { plausibleNumber } from "./plausible.ts";
import { fieldsOf, type Page, type Read, readId, readPage, textOf } from "./read.ts";
import type { NetworkVolume, VolumeType } from "./types.ts";

const LARGEST_GB = 1_000_000;

/** Body of the request that makes a volume. Its price per month runs until the volume is deleted. */
export interface CreateVolumeRequest {
  /** The provider accepts a name that another volume has. */
  readonly name: string;
  /** 10 to 4,096 GB. */
  readonly sizeGb: number;
  readonly dataCenterId: string;
  /** Default: the data center's own. */
  readonly type?: VolumeType;
}

export type GetVolumeOutcome = { readonly kind: "found"; readonly volume: NetworkVolume } | Absent | Unknown;

/** `unnamed`: entries that may have any name, because the provider shows no readable id or name of them. */
export type ListVolumesOutcome =
  | { readonly kind: "complete"; readonly volumes: readonly NetworkVolume[]; readonly unnamed: number }
  | Unknown;

/**
 * - `several`: names are not unique; only an id says which one is meant.
 * - `absent`: a complete list of readable names lacks this one. Lists may lag behind a creation.
 */
export type FindVolumeOutcome =
  | { readonly kind: "found"; readonly volume: NetworkVolume }
  | { readonly kind: "several"; readonly volumes: readonly NetworkVolume[] }
  | Absent
  | Unknown;

/** As of a pod: after `ambiguous` a volume may exist and cost money, and lists show it. */
export type CreateVolumeOutcome = { readonly kind: "created"; readonly volume: NetworkVolume } | Refused | Ambiguous;

export type UpdateVolumeOutcome =
  | { readonly kind: "updated"; readonly volume: NetworkVolume }
  | Absent
  | Refused
  | Unknown;

export interface VolumeCalls {
  listVolumes(options?: CallOptions): Promise<ListVolumesOutcome>;
  findVolume(name: string, options?: CallOptions): Promise<FindVolumeOutcome>;
  getVolume(id: string, options?: CallOptions): Promise<GetVolumeOutcome>;
  /** Posts once. */
  createVolume(request: CreateVolumeRequest, options?: CallOptions): Promise<CreateVolumeOutcome>;
  /** Changes what is given. A volume can only grow. */
  updateVolume(
    id: string,
    change: { readonly name?: string; readonly sizeGb?: number },
    options?: CallOptions,
  ): Promise<UpdateVolumeOutcome>;
  /** Destroys the volume's data. */
  deleteVolume(id: string, options?: CallOptions): Promise<DeleteOutcome>;
}

export function createVolumeCalls(api: Api): VolumeCalls {
  const listVolumes: VolumeCalls["listVolumes"] = async ({ signal } = {}) => {
    const order = { what: "listing network volumes", path: "/network-volumes", read: readVolumePage, signal };
    const list = await listAll(api, order);
    if (list.kind === "unknown") {
      return list;
    }
    const volumes = byId(list.items.filter((item) => item !== null));
    const unreadable = list.items.filter((item) => item === null).length;
    return { kind: "complete", volumes, unnamed: unreadable + volumes.filter(({ name }) => name === null).length };
  };
  return {
    listVolumes,
    findVolume: async (name, options) => findByName(name, await listVolumes(options)),
    async getVolume(id, { signal } = {}) {
      const what = `reading network volume "${id}"`;
      if (id === "") {
        return noId(what);
      }
      const read = (body: unknown) => readShownVolume(id, body);
      const outcome = await getOne(api, { what, path: pathOf(id), read, signal });
      return outcome.kind === "found" ? { kind: "found", volume: outcome.value } : outcome;
    },
    async createVolume({ name, sizeGb, dataCenterId, type }, { signal } = {}) {
      const what = `creating network volume "${name}"`;
      const payload = { name, size: sizeGb, dataCenter: dataCenterId, ...(type === undefined ? {} : { type }) };
      const order = { what, path: "/network-volumes", payload, secrets: [], read: readVolume, signal };
      const outcome = await createOne(api, order);
      return outcome.kind === "created" ? { kind: "created", volume: outcome.value } : outcome;
    },
    async updateVolume(id, { name, sizeGb }, { signal } = {}) {
      const what = `changing network volume "${id}"`;
      if (id === "") {
        return noId(what);
      }
      const payload = { ...(name === undefined ? {} : { name }), ...(sizeGb === undefined ? {} : { size: sizeGb }) };
      const read = (body: unknown) => readShownVolume(id, body);
      const outcome = await changeOne(api, { method: "PATCH", what, path: pathOf(id), payload, read, signal });
      switch (outcome.kind) {
        case "done":
          return { kind: "updated", volume: outcome.value };
        case "conflict":
          return { kind: "refused", reason: "invalid", status: 409, detail: outcome.detail };
        default:
          return outcome;
      }
    },
    async deleteVolume(id, { signal } = {}) {
      const what = `deleting network volume "${id}"`;
      return id === "" ? noId(what) : await deleteOne(api, { what, path: pathOf(id), signal });
    },
  };
}

function findByName(name: string, list: ListVolumesOutcome): FindVolumeOutcome {
  if (list.kind === "unknown") {
    return list;
  }
  const named = list.volumes.filter((volume) => volume.name === name);
  const [volume, ...others] = named;
  if (volume) {
    return others.length === 0 ? { kind: "found", volume } : { kind: "several", volumes: named };
  }
  return list.unnamed === 0
    ? { kind: "absent" }
    : {
        kind: "unknown",
        detail: `finding network volume "${name}": not in the list, but ${list.unnamed} entries show no readable id and name`,
      };
}

function pathOf(id: string): string {
  return `/network-volumes/${encodeURIComponent(id)}`;
}

/** An entry that cannot be read is null, so that a foreign one hides nothing and is still counted. */
function readVolumePage(body: unknown): Read<Page<NetworkVolume | null>> {
  const page = readPage(body, { key: "networkVolumes", nouns: "network volumes", inOnePiece: true });
  if (!page.ok) {
    return page;
  }
  const items = page.value.items.map((entry) => {
    const volume = readVolume(entry);
    return volume.ok ? volume.value : null;
  });
  return { ok: true, value: { items, nextCursor: page.value.nextCursor } };
}

function readShownVolume(id: string, body: unknown): Read<NetworkVolume> {
  const volume = readVolume(body);
  return volume.ok && volume.value.id !== id ? { ok: false, detail: "another volume's data" } : volume;
}

function readVolume(body: unknown): Read<NetworkVolume> {
  const id = readId(body, "network volume");
  if (!id.ok) {
    return id;
  }
  const { name, size, dataCenter, type } = fieldsOf(body);
  const sizeGb = plausibleNumber(size);
  return {
    ok: true,
    value: {
      id: id.value,
      name: textOf(name),
      sizeGb: sizeGb !== null && sizeGb > 0 && sizeGb <= LARGEST_GB ? sizeGb : null,
      dataCenterId: textOf(dataCenter),
      type: textOf(type),
    },
  };
}
