/** The rooms of src/ and, for each, the rooms that it may import besides itself. Dependencies point downwards only. */
const ROOMS = {
  contract: [],
  "task-types": [],
  policy: ["contract", "task-types"],
  backtest: ["contract", "policy"],
  workflows: ["contract"],
  config: ["contract"],
  logger: [],
  net: [],
  process: [],
  runpod: [],
  "task-file": [],
  supabase: ["contract", "policy", "task-types"],
  activities: ["config", "contract", "net", "policy", "runpod", "supabase"],
  // The room and its entry, src/worker.ts. It bundles the workflows by their path and never imports them.
  worker: ["activities", "config", "contract", "logger", "process", "runpod", "supabase"],
  // It runs alone in a pod.
  "gpu-worker": ["net", "task-file", "task-types"],
  simulator: ["gpu-worker", "process"],
  dev: ["contract", "gpu-worker", "process", "simulator", "supabase"],
  client: [
    "activities",
    "backtest",
    "config",
    "contract",
    "dev",
    "logger",
    "policy",
    "process",
    "runpod",
    "supabase",
    "task-file",
    "task-types",
    "worker",
  ],
};

/** Rooms within rooms, by path below src/: what they may import of their own house. */
const INNER_ROOMS = {
  "client/render": ["client/render", "backtest", "contract", "policy", "task-types"],
  "dev/servers": ["dev/servers", "process"],
  "dev/storage": ["dev/storage", "dev/gateway/auth"],
  "dev/gateway": ["dev/gateway", "dev/storage"],
  "workflows/pool": [
    "workflows/pool",
    "workflows/worker",
    "workflows/summarised",
    "workflows/payloads",
    "workflows/require-input",
    "workflows/signals",
    "contract",
  ],
  "workflows/worker": [
    "workflows/worker",
    "workflows/summarised",
    "workflows/payloads",
    "workflows/require-input",
    "workflows/signals",
    "contract",
  ],
};

/** Packages that a room without I/O may use. */
const PURE_ROOMS = {
  contract: ["@temporalio/common"],
  "task-types": ["zod"],
  policy: [],
  backtest: [],
  workflows: ["@temporalio/common", "@temporalio/workflow"],
};

/** How text is cut and made storable is the same everywhere, also in edge functions, which may not import src/. */
const TEXT = "^supabase/functions/_shared/text\\.ts$";

function below(rooms) {
  return `^src/(${rooms.join("|")})(/|\\.ts$)`;
}

function stays(name, room, allowed) {
  return {
    name,
    comment: `${room} may import ${allowed.filter((each) => each !== room).join(", ") || "nothing of the other rooms"}`,
    severity: "error",
    from: { path: below([room]) },
    to: { path: "^(src|supabase)/", pathNot: [below(allowed), TEXT] },
  };
}

export default {
  forbidden: [
    {
      name: "no-cycles",
      comment: "Two files that import each other, types included, cannot be understood one at a time.",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "nothing-unresolved",
      comment: "A path that leads nowhere is checked by no rule.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true, pathNot: "^npm:" },
    },
    ...Object.entries(ROOMS)
      .filter(([room]) => room !== "dev")
      .map(([room, others]) => stays(`room-${room}`, room, [room, ...others])),
    {
      ...stays("room-dev", "dev", ["dev", ...ROOMS.dev]),
      // The gateway serves the edge functions' shared handlers.
      to: { path: "^(src|supabase)/", pathNot: [below(["dev", ...ROOMS.dev]), "^supabase/functions/_shared/"] },
    },
    ...Object.entries(INNER_ROOMS).map(([room, allowed]) => ({
      ...stays(`inner-room-${room.replace("/", "-")}`, room, allowed),
      to: { path: "^src/", pathNot: below(allowed) },
    })),
    {
      name: "no-development-packages",
      comment:
        "An image has no devDependencies: only the servers of the local stack, which no image runs, may use them.",
      severity: "error",
      from: { path: "^(src|supabase/functions/_shared)/", pathNot: "^src/dev/servers/" },
      to: { dependencyTypes: ["npm-dev"], dependencyTypesNot: ["type-only"] },
    },
    {
      name: "one-database-layer",
      comment: "Our reads and calls of the database are the stores in src/supabase/.",
      severity: "error",
      from: {
        path: "^(src|supabase|test|bench|scripts)/",
        pathNot: [
          "^src/supabase/",
          // The program in a pod and the edge functions have small clients of their own.
          "^src/gpu-worker/",
          "^supabase/functions/",
          // It gives the edge functions the clients that their host gives them.
          "^src/dev/gateway/functions-host\\.ts$",
          // Here a user or a worker is played, with a client of its own.
          "^test/(kit|stack)/",
          "^bench/",
        ],
      },
      to: { path: "(^|/)node_modules/@supabase/" },
    },
    {
      name: "stores-only",
      comment: "What the stores stand on belongs to them: other rooms use a store.",
      severity: "error",
      from: { pathNot: "^src/supabase/" },
      to: { path: "^src/supabase/(tables|requests)\\.ts$" },
    },
    {
      name: "command-groups-apart",
      comment: "What commands of several groups share lies in client/ itself.",
      severity: "error",
      from: { path: "^src/client/commands/([^/]+)/" },
      to: { path: "^src/client/commands/", pathNot: "^src/client/commands/$1/" },
    },
    ...Object.entries(PURE_ROOMS).map(([room, packages]) => ({
      name: `pure-${room}`,
      comment: `${room}/ does no I/O: ${packages.length === 0 ? "no package" : packages.join(" and ")} and no Node built-in`,
      severity: "error",
      from: { path: below([room]) },
      to: { pathNot: ["^src/", TEXT, ...packages.map((name) => `(^|/)node_modules/${name}/`)] },
    })),
    {
      name: "text-stands-alone",
      comment: "The file that every process shares, workflows too, imports nothing.",
      severity: "error",
      from: { path: TEXT },
      to: {},
    },
    {
      name: "edge-functions-stand-alone",
      comment: "Edge functions run at Supabase, without the sources of src/.",
      severity: "error",
      from: { path: "^supabase/functions/" },
      to: { path: "^src/" },
    },
    {
      name: "tests-stand-alone",
      comment: "What several tests share is in test/kit/.",
      severity: "error",
      from: { path: "^test/" },
      to: { path: "\\.test\\.ts$" },
    },
    {
      name: "kits-apart-from-tests",
      comment: "What several tests share is in test/kit/.",
      severity: "error",
      from: { path: "^test/.*\\.test\\.ts$" },
      to: { path: "^test/", pathNot: ["^test/kit/", "^test/global-setup\\.ts$"] },
    },
  ],
  options: {
    // TypeScript 7 has no JavaScript API, so swc reads the files.
    parser: "swc",
    tsPreCompilationDeps: true,
    doNotFollow: { path: "(^|/)node_modules/" },
    enhancedResolveOptions: {
      extensions: [".ts", ".js", ".mjs"],
      exportsFields: ["exports"],
      conditionNames: ["import", "require", "node", "default"],
    },
  },
};
