import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { variables } from "../src/config/variables.ts";

type Listed = (typeof variables)[number];

const headings: Record<Listed["section"], string> = {
  supabase: "Supabase",
  runpod: "Runpod",
  temporal: "Temporal",
  pool: "Pool",
  scaling: "Scaling (a pool's stored configuration overrides these)",
  timeouts: "Timeouts (a pool's stored configuration overrides these)",
  breaker: "Failed starts (a pool's stored configuration overrides these)",
  budget: "Budget of the account, over all pools",
  provider: "Seeing pods come and go",
  worker: "Workers in their pods",
  log: "Logging",
  localStack: "Local stack (gpu-pool dev)",
};

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

/** The text of `.env.example`: every variable with its default and one line of description, grouped. */
export function envExample(): string {
  const sections = Object.entries(headings).map(([section, heading]) => {
    const entries = variables.filter((variable) => variable.section === section).map(entry);
    return `# ---- ${heading} ----\n\n${entries.join("\n")}`;
  });
  return `# Copy to .env and fill in. Never commit real secrets.\n# Written by: npm run env-example\n\n${sections.join("\n")}`;
}

const page = new URL("../docs/configuration.md", import.meta.url);
const generatedPart = /(<!-- from src\/config\/variables\.ts -->\n)[^]*(\n<!-- end -->)/;

/** The text of `docs/configuration.md`: its own words around one table a group. */
function configurationPage(): string {
  const text = readFileSync(page, "utf8");
  if (!generatedPart.test(text)) {
    throw new Error(`${fileURLToPath(page)} lacks the marks around its tables: restore them from version control`);
  }
  const sections = Object.entries(headings).map(([section, heading]) => {
    const rows = variables.filter((variable) => variable.section === section).map(row);
    return `## ${heading}\n\n${table([["Variable", "Default", "Allowed", "Meaning"], ...rows])}\n`;
  });
  return text.replace(generatedPart, (_, head: string, tail: string) => `${head}\n${sections.join("\n")}${tail}`);
}

function row({ name, description, allowed, presence, secret, defaultText, aliases }: Listed): string[] {
  const value = defaultText === undefined ? (presence === "required" ? "required" : "unset") : `\`${defaultText}\``;
  const also = aliases.map((alias) => ` Also \`${alias}\`.`).join("");
  return [`\`${name}\``, value, allowed, `${description}${also}${secret ? " Secret." : ""}`];
}

/** In the form that the formatter keeps. */
function table([head = [], ...rows]: string[][]): string {
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((cells) => cells[column]?.length ?? 0)));
  return [head, widths.map((width) => "-".repeat(width)), ...rows]
    .map((cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`)
    .join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const mode = process.argv[2];
  if (mode !== "--write" && mode !== "--check") {
    throw new Error(`expected --check or --write, got ${mode ?? "nothing"}`);
  }
  const files = [
    { url: new URL("../.env.example", import.meta.url), text: envExample() },
    { url: page, text: configurationPage() },
  ];
  for (const { url, text } of files) {
    if (mode === "--write") {
      writeFileSync(url, text);
    } else if (readFileSync(url, "utf8") !== text) {
      console.error(`${fileURLToPath(url)} does not match src/config/variables.ts; run: npm run env-example`);
      process.exitCode = 1;
    }
  }
}
