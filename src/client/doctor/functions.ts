import { countTasksAs, type FunctionProbe, probeFunction } from "../../supabase/project/project-check.ts";
import { failed, type Finding, ok, reasonOf } from "./finding.ts";
import type { Subject } from "./subject.ts";

const DEPLOY = "supabase functions deploy (docs/own-accounts.md)";

/** Those of supabase/functions. A test holds this list to what is there. */
const FUNCTIONS = [
  "claim-next-task",
  "complete-task",
  "create-task",
  "delegate-task",
  "generate-upload-url",
  "get-completed-segments",
  "get-predecessor-output",
  "mark-task-failed",
  "old-worker",
  "orchestrator-wake",
  "service-request",
  "task-counts",
  "tasks",
  "update-task-status",
];

/** Both spellings are deployed, because older callers use underscores. */
export const DEPLOYED: readonly string[] = FUNCTIONS.flatMap((name) =>
  name.includes("-") ? [name, name.replaceAll("-", "_")] : [name],
);

/** The edge functions: each is there, lets opaque tokens through, and knows its callers. */
export async function checkFunctions({ config }: Subject): Promise<Finding[]> {
  const probe = { url: config.supabase.url, publicKey: config.supabase.anonKey };
  try {
    const statuses = await Promise.all(
      DEPLOYED.map(async (name) => ({ name, status: await probeFunction(probe, name) })),
    );
    const deployed = judgeDeployed(statuses);
    return deployed.state === "failed"
      ? [deployed]
      : [deployed, await checkCallers(probe, config.supabase.serviceRoleKey)];
  } catch (error) {
    return [failed("functions", `no answer: ${reasonOf(error)}`, "Check SUPABASE_URL and the project's status page.")];
  }
}

function judgeDeployed(statuses: readonly { name: string; status: number }[]): Finding {
  const named = (wanted: (status: number) => boolean) =>
    statuses.filter(({ status }) => wanted(status)).map(({ name }) => name);
  const missing = named((status) => status === 404);
  if (missing.length > 0) {
    return failed("functions", `not deployed: ${missing.join(", ")}`, DEPLOY);
  }
  const closed = named((status) => status === 401 || status === 403);
  if (closed.length > 0) {
    const why = "the platform wants a JWT before they run, and workers' tokens are none";
    const remedy = `Deploy with the settings of supabase/config.toml (verify_jwt = false): ${DEPLOY}`;
    return failed("functions", `${closed.join(", ")}: ${why}`, remedy);
  }
  const broken = statuses.filter(({ status }) => status !== 405);
  return broken.length > 0
    ? failed(
        "functions",
        `unexpected answers: ${broken.map(({ name, status }) => `${name} HTTP ${status}`).join(", ")}`,
        "See the functions' logs in the dashboard; then deploy again.",
      )
    : ok("functions", `all ${statuses.length} are deployed`);
}

/** Only a caller that the database knows may count tasks. */
async function checkCallers(probe: FunctionProbe, serviceKey: string): Promise<Finding> {
  const callers = [
    { name: "the public key alone", bearer: null, isKnown: false },
    { name: "an unknown token", bearer: "gpw_nobody", isKnown: false },
    { name: "the service key", bearer: serviceKey, isKnown: true },
  ];
  const wrong: string[] = [];
  for (const { name, bearer, isKnown } of callers) {
    const { status, text } = await countTasksAs(probe, bearer);
    const isRight = isKnown ? status === 200 : status === 401 || status === 403;
    if (!isRight) {
      wrong.push(`${name} gets HTTP ${status} (${text})`);
    }
  }
  return wrong.length === 0
    ? ok("function callers", "the service key is known, others are refused")
    : failed("function callers", wrong.join("; "), "Check the functions' secrets, then deploy them again.");
}
