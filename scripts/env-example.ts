import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ownVariables } from "../src/config/pool-variables.ts";
import { variables } from "../src/config/variables.ts";
import { markdownTable, withPart, writeOrCheck } from "./generated-pages.ts";

type Listed = (typeof variables)[number];

const headings: Record<Listed["section"], string> = {
  supabase: "Supabase",
  gateway: "A project of your own (gpu-pool gateway)",
  runpod: "Runpod",
  temporal: "Temporal",
  pool: "Pool",
  scaling: "Scaling",
  timeouts: "Timeouts",
  alerts: "Alerts",
  breaker: "Failed starts",
  sickWorkers: "Sick workers",
  launch: "What a pod runs",
  placement: "Where pods are rented",
  budget: "Budget of the account, over all pools",
  notifications: "Notifications",
  provider: "Observation of pods",
  janitor: "Janitor",
  retention: "Retention",
  worker: "GPU workers",
  health: "Health and metrics",
  tracing: "Traces",
  log: "Logging",
  localStack: "Local stack (gpu-pool dev)",
};

function headed(section: string, heading: string): string {
  return section in ownVariables ? `${heading} (a pool's own settings override these)` : heading;
}

function entry({ name, description, allowed, presence, secret, defaultText, aliases }: Listed): string {
  const notes = [
    presence === "required" && "required",
    secret && "secret",
    aliases.length > 0 && `also ${aliases.join(", ")}`,
  ];
  const remarks = [allowed, ...notes.filter(Boolean)].join("; ");
  // An optional variable stays commented out: other readers may take an empty one as set.
  const line = presence === "optional" ? `# ${name}=` : `${name}=${defaultText ?? ""}`;
  return `# ${description} (${remarks})\n${line}\n`;
}

const HEAD = `# Copy to .env and fill in. Never commit real secrets.
# Each secret may be in a file instead: NAME_FILE=path in place of NAME=value, as in RUNPOD_API_KEY_FILE=/run/secrets/runpod-key.
# Written by: npm run env-example
`;

/** The text of `.env.example`: every variable with its default and one line of description, grouped. */
export function envExample(): string {
  const sections = Object.entries(headings).map(([section, heading]) => {
    const entries = variables.filter((variable) => variable.section === section).map(entry);
    return `# ---- ${headed(section, heading)} ----\n\n${entries.join("\n")}`;
  });
  return `${HEAD}\n${sections.join("\n")}`;
}

const page = new URL("../docs/configuration.md", import.meta.url);

/** The text of `docs/configuration.md`: its own words around the generated tables. */
function configurationPage(): string {
  const text = readFileSync(page, "utf8");
  const withNames = withPart(page, text, "src/config/pool-variables.ts", ownSettings());
  return withPart(page, withNames, "src/config/variables.ts", environmentVariables());
}

/** One table a group. */
function environmentVariables(): string {
  const sections = Object.entries(headings).map(([section, heading]) => {
    const rows = variables.filter((variable) => variable.section === section).map(row);
    return `## ${headed(section, heading)}\n\n${markdownTable([["Variable", "Default", "Allowed", "Meaning"], ...rows])}\n`;
  });
  return sections.join("\n");
}

function ownSettings(): string {
  const rows = Object.values(ownVariables).flatMap((group) =>
    Object.entries(group).map(([key, { name }]) => [`\`${key}\``, `\`${name}\``]),
  );
  return `${markdownTable([["Key", "Overrides"], ...rows])}\n`;
}

function row({ name, description, allowed, presence, secret, defaultText, aliases }: Listed): string[] {
  const value = defaultText === undefined ? (presence === "required" ? "required" : "unset") : `\`${defaultText}\``;
  const also = aliases.map((alias) => ` Also \`${alias}\`.`).join("");
  return [`\`${name}\``, value, allowed, `${description}${also}${secret ? " Secret." : ""}`];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const files = [
    { url: new URL("../.env.example", import.meta.url), text: envExample() },
    { url: page, text: configurationPage() },
  ];
  writeOrCheck(process.argv[2], files, "the tables in src/config/; run: npm run env-example");
}
