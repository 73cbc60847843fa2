import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { JSON_OF, OBJECT_A_LINE } from "../src/client/schemas/verbs.ts";
import { writeOrCheck } from "./generated-pages.ts";

const folder = new URL("../docs/schemas/", import.meta.url);

function fileOf(verb: string): string {
  return `${verb.replaceAll(" ", "-")}.schema.json`;
}

/** The JSON Schema of what a verb prints. */
function schemaOf(verb: string, schema: z.ZodType): string {
  const { $schema, ...rest } = z.toJSONSchema(schema, {
    override({ jsonSchema }) {
      // Bounds of what JavaScript counts exactly say nothing about the output.
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) {
        delete jsonSchema.minimum;
      }
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) {
        delete jsonSchema.maximum;
      }
    },
  });
  const title = `gpu-pool ${verb} --json${OBJECT_A_LINE.has(verb) ? ", each line" : ""}`;
  return `${JSON.stringify({ $schema, title, ...rest }, null, 2)}\n`;
}

/** Files of verbs that are no more. */
function strangers(): URL[] {
  const known = new Set(Object.keys(JSON_OF).map(fileOf));
  const present = existsSync(folder) ? readdirSync(folder) : [];
  return present.filter((name) => !known.has(name)).map((name) => new URL(name, folder));
}

const mode = process.argv[2];
if (mode === "--write") {
  mkdirSync(folder, { recursive: true });
  strangers().forEach((file) => rmSync(file));
}
for (const file of strangers()) {
  console.error(`${fileURLToPath(file)} is of no verb; run: npm run json-schemas`);
  process.exitCode = 1;
}
const files = Object.entries(JSON_OF).map(([verb, schema]) => ({
  url: new URL(fileOf(verb), folder),
  text: schemaOf(verb, schema),
}));
writeOrCheck(mode, files, "src/client/schemas/; run: npm run json-schemas");
