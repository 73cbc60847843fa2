import { FUNCTIONS } from "../../../../supabase/functions/_shared/functions.ts";
import type { Dice } from "./dice.ts";
import type { Catalog, Prey } from "./prey.ts";

/** One request, before it has a caller. `body` is sent as it is. */
export interface Hostile {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** What a door needs to make a request. `value` is the JSON text of a hostile value, `word` one for an address. */
export interface Make {
  readonly dice: Dice;
  readonly prey: Prey;
  readonly value: () => string;
  readonly word: () => string;
}

export interface Door {
  readonly name: string;
  /** Whose address the paths are below; default: the gateway's. */
  readonly at?: "simulator";
  readonly request: (make: Make) => Hostile;
}

const FIELDS =
  "task_id worker_id lease_token task_type params project_id dependant_on status error_message filename content_type " +
  "file_data output_location run_type count limit after idempotency_key metadata generate_thumbnail_url result children";

/** Some of the fields, with a value of the database's own where the field names one, else a hostile one. */
function bodyOf(names: readonly string[], { dice, prey, value }: Make): string {
  const likely: Readonly<Record<string, string>> = { ...prey.evil, filename: "a.mp4", content_type: "video/mp4" };
  const chosen = names.filter(() => dice.chance(0.8));
  const entries = chosen.map((name) => {
    const known = likely[name.replace(/^p_/, "")];
    return `${JSON.stringify(name)}:${known !== undefined && dice.chance(0.5) ? JSON.stringify(known) : value()}`;
  });
  return dice.chance(0.1) ? value() : `{${entries.join(",")}}`;
}

const JSON_TYPE = { "content-type": "application/json" };
const TYPES = [
  "application/json",
  "text/plain",
  "text/csv",
  "application/octet-stream",
  "a/b;c",
  "multipart/form-data; boundary=b",
];
const STORAGE = [
  "object",
  "object/public",
  "object/sign",
  "object/authenticated",
  "object/info",
  "object/upload/sign",
  "object/list",
  "bucket",
  "object/copy",
  "object/move",
];
const SIMULATOR = [
  "_sim/claim",
  "_sim/settings",
  "_sim/faults",
  "_sim/market",
  "_sim/ledger",
  "_sim/pods/a/kill",
  "v2/pods",
  "v2/pods/a/logs",
  "graphql",
  "v2/billing",
];

function tableDoor(catalog: Catalog): Door {
  return {
    name: "tables",
    request(make) {
      const { dice, word } = make;
      const table = dice.pick(Object.keys(catalog.tables));
      const column = dice.pick(catalog.tables[table]!);
      const filters = [
        `${column}=eq.${word()}`,
        `select=${word()}`,
        `order=${word()}`,
        `${word()}=${word()}`,
        `limit=${word()}`,
        `or=(${word()})`,
      ];
      const method = dice.pick(["GET", "POST", "PATCH", "DELETE", "PUT", "HEAD"]);
      const prefer = dice.pick([
        "count=exact",
        "count=planned",
        "return=representation",
        "resolution=merge-duplicates",
        "tx=rollback",
        word(),
      ]);
      const hasBody = method === "POST" || method === "PATCH" || method === "PUT";
      return {
        method,
        path: `/rest/v1/${table}?${dice.pick(filters)}&${dice.pick(filters)}`,
        headers: { ...JSON_TYPE, prefer, range: `0-${word()}` },
        ...(hasBody && { body: bodyOf(catalog.tables[table]!, make) }),
      };
    },
  };
}

function functionDoor(catalog: Catalog): Door {
  return {
    name: "database functions",
    request(make) {
      const name = make.dice.pick(Object.keys(catalog.functions));
      const body = bodyOf(catalog.functions[name]!, make);
      return { method: "POST", path: `/rest/v1/rpc/${name}`, headers: JSON_TYPE, body };
    },
  };
}

const EDGE: Door = {
  name: "edge functions",
  request(make) {
    const { dice, word } = make;
    const name = dice.pick(Object.keys(FUNCTIONS));
    const spelled = dice.chance(0.5) ? name : name.replaceAll("-", "_");
    const below = dice.chance(0.2) ? `/${word()}` : "";
    const method = dice.pick(["POST", "POST", "POST", "GET", "PUT", "DELETE", "PATCH", "TRACE"]);
    const body = method === "GET" || method === "TRACE" ? {} : { body: bodyOf(FIELDS.split(" "), make) };
    return {
      method,
      path: `/functions/v1/${spelled}${below}?${word()}=${word()}`,
      headers: { "content-type": dice.pick(TYPES) },
      ...body,
    };
  },
};

const API: Door = {
  name: "the API",
  request(make) {
    const { dice, prey, word } = make;
    const path = dice.pick([
      "",
      `/${prey.task}`,
      `/${word()}`,
      `/${prey.task}/output`,
      `?limit=${word()}&after=${word()}`,
      `?status=${word()}`,
    ]);
    const method = dice.pick(["GET", "POST", "DELETE", "PUT"]);
    return {
      method,
      path: `/api/tasks${path}`,
      headers: JSON_TYPE,
      ...(method !== "GET" && { body: bodyOf(FIELDS.split(" "), make) }),
    };
  },
};

const FILES: Door = {
  name: "storage",
  request(make) {
    const { dice, prey, word } = make;
    const of = dice.pick([prey.file, `${prey.file}/../${word()}`, `${prey.task}/${word()}`, word(), ""]);
    const path = `/storage/v1/${dice.pick(STORAGE)}/${dice.pick(["videos", "videos", word()])}/${of}?token=${word()}&download=${word()}`;
    const method = dice.pick(["GET", "POST", "PUT", "DELETE", "HEAD"]);
    const headers = {
      "content-type": dice.pick([...TYPES, "text/html", "image/svg+xml"]),
      "x-upsert": "true",
      range: `bytes=${word()}-`,
      "x-metadata": word(),
    };
    return {
      method,
      path,
      headers,
      ...((method === "POST" || method === "PUT") && {
        body: bodyOf(
          ["bucketId", "sourceKey", "destinationKey", "prefix", "prefixes", "name", "id", "public", "expiresIn"],
          make,
        ),
      }),
    };
  },
};

const ELSEWHERE: Door = {
  name: "other addresses",
  request({ dice, word }) {
    const path = dice.pick([
      `/${word()}`,
      `//${word()}`,
      "/rest/v1/",
      "/api/docs",
      "/healthz",
      "/rest/v1/%",
      `/functions/v1/${word()}`,
      `/rest/v2/${word()}`,
      "/rest/v1/rpc/",
    ]);
    return {
      method: dice.pick(["GET", "POST", "OPTIONS", "TRACE", "PROPFIND"]),
      path,
      headers: { host: word(), origin: "https://evil.example", accept: word(), "accept-profile": word() },
    };
  },
};

const PROVIDER: Door = {
  name: "the simulator, from a page",
  at: "simulator",
  request(make) {
    const { dice, word } = make;
    const headers = {
      "content-type": "text/plain",
      ...dice.pick([{ origin: "https://evil.example" }, { host: "evil.example" }, { origin: "null" }]),
    };
    return {
      method: dice.pick(["POST", "PUT", "DELETE"]),
      path: `/${dice.pick(SIMULATOR)}?${word()}`,
      headers,
      body: bodyOf(["taskSec", "on", "kind", "name", "pageSize"], make),
    };
  },
};

/** Add a door here; every family of values and every caller tries it. */
export function doorsOf(catalog: Catalog): readonly Door[] {
  return [tableDoor(catalog), functionDoor(catalog), functionDoor(catalog), EDGE, API, FILES, ELSEWHERE, PROVIDER];
}
