import { z } from "zod";
import * as decisions from "./decisions.ts";
import * as installation from "./installation.ts";
import * as reports from "./reports.ts";
import * as see from "./status.ts";
import * as tasks from "./tasks.ts";
import * as workers from "./workers.ts";

/**
 * What each verb prints with `--json`, by its name. `npm run json-schemas` writes docs/schemas/ from it, and the tests hold
 * what is printed against it.
 */
export const JSON_OF: Readonly<Record<string, z.ZodType>> = {
  dev: installation.dev,
  "gateway secrets": installation.secrets,
  "pool start": installation.started,
  "pool list": installation.pools,
  "pool show": reports.poolShown,
  "pool shutdown": decisions.shutDown,
  scale: decisions.scaled,
  spawn: decisions.scaled,
  drain: decisions.order,
  resume: decisions.order,
  pause: decisions.order,
  shutdown: decisions.shutDown,
  "shutdown-all": reports.allShutDown,
  config: decisions.config,
  "config get": reports.settingsGot,
  "config explain": reports.settingsExplained,
  "config set": decisions.config,
  "config unset": decisions.config,
  schedule: reports.schedule,
  cycle: decisions.cycle,
  status: see.status,
  alerts: see.alert.array(),
  costs: reports.costs,
  events: see.event,
  logs: z.union([see.logLine, reports.timeline]).describe("A line of the logs; with --worker-timeline, one timeline."),
  explain: decisions.explain,
  decide: decisions.decide,
  backtest: installation.backtest,
  advise: installation.backtest,
  submit: tasks.submit,
  tasks: tasks.tasks,
  "tasks generate": tasks.generated,
  "tasks stats": reports.taskStats,
  types: tasks.types,
  "task show": tasks.task,
  "task cancel": tasks.cancelled,
  "task retry": tasks.retried,
  "task logs": see.logLine,
  "task timeline": reports.timeline,
  "task download": reports.downloaded,
  "notifications add": tasks.newEndpoint,
  "notifications list": tasks.endpoints,
  "notifications dead": tasks.givenUp,
  "notifications retry": tasks.delivered,
  "notifications remove": tasks.removed,
  workers: workers.workers,
  "worker show": workers.worker,
  "worker logs": see.logLine,
  "worker timeline": reports.timeline,
  "worker diagnostics": workers.diagnostics,
  "worker token": workers.token,
  "worker drain": workers.ordered,
  "worker terminate": workers.ordered,
  "volume prepare": workers.volumePrepare,
  "volume list": workers.volumes,
  "volume check": workers.volumeCheck,
  "db bootstrap": installation.bootstrapped,
  "db migrate": installation.migrated,
  "db status": installation.migrations,
  "db verify": installation.drift,
  "db deployment": installation.deployment,
  janitor: installation.janitor,
  doctor: installation.doctor,
  "temporal setup": installation.temporalSetup,
};

/** Verbs that print one JSON object a line; `status --watch` does too. */
export const OBJECT_A_LINE: ReadonlySet<string> = new Set(["events", "logs", "task logs", "worker logs"]);
