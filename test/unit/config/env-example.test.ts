import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { envExample } from "../../../scripts/env-example.ts";
import { loadConfig } from "../../../src/config/config.ts";
import { variables } from "../../../src/config/variables.ts";

const example = readFileSync(new URL("../../../.env.example", import.meta.url), "utf8");
const assignments = [...example.matchAll(/^(?:# )?([A-Z][A-Z0-9_]*)=(.*)$/gm)].map(([, name = "", value = ""]) => ({
  name,
  value,
}));

it(".env.example lists every variable of the table, and no other, exactly once", () => {
  expect(assignments.map(({ name }) => name).toSorted()).toEqual(variables.map(({ name }) => name).toSorted());
});

it(".env.example shows each variable's default, or nothing when it has none", () => {
  for (const { name, value } of assignments) {
    expect([name, value]).toEqual([name, variables.find((variable) => variable.name === name)?.defaultText ?? ""]);
  }
});

it(".env.example is what the generator writes", () => {
  expect(example).toBe(envExample());
});

it(".env.example gives the default configuration once the credentials are filled in", () => {
  const credentials = {
    SUPABASE_URL: "https://abc.supabase.co",
    SUPABASE_ANON_KEY: "a",
    SUPABASE_SERVICE_ROLE_KEY: "b",
    RUNPOD_API_KEY: "c",
  };
  const filled = { ...Object.fromEntries(assignments.map(({ name, value }) => [name, value])), ...credentials };
  expect(loadConfig(filled)).toEqual(loadConfig(credentials));
});
