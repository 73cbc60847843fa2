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

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = fileURLToPath(new URL("../.env.example", import.meta.url));
  const mode = process.argv[2];
  if (mode === "--write") {
    writeFileSync(file, envExample());
  } else if (mode !== "--check") {
    throw new Error(`expected --check or --write, got ${mode ?? "nothing"}`);
  } else if (readFileSync(file, "utf8") !== envExample()) {
    console.error(".env.example does not match src/config/variables.ts; run: npm run env-example");
    process.exitCode = 1;
  }
}
