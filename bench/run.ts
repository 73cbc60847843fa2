import { readdirSync } from "node:fs";
import { availableParallelism, cpus, totalmem } from "node:os";
import { parseArgs } from "node:util";
import type { Benchmark, Figure } from "./figure.ts";

const folder = new URL("./", import.meta.url);

function benchmarkNames(): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".ts") && file !== "run.ts" && file !== "figure.ts")
    .map((file) => file.slice(0, -".ts".length));
}

async function load(name: string): Promise<Benchmark> {
  const module = (await import(new URL(`${name}.ts`, folder).href)) as Partial<Benchmark>;
  if (typeof module.description !== "string" || typeof module.run !== "function") {
    throw new Error(`bench/${name}.ts must export \`description\` and \`run\``);
  }
  return { description: module.description, run: module.run };
}

function machine() {
  const memoryGb = Math.round(totalmem() / 1e9);
  return { cores: availableParallelism(), cpu: cpus()[0]?.model ?? "unknown", memoryGb, node: process.version };
}

function digits(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: 4 });
}

function inUnit({ on, bound }: NonNullable<Figure["limit"]>, unit: string): string {
  return on === "ratio" ? `×${digits(bound)}` : `${digits(bound)} ${unit}`;
}

function row({ name, value, unit, peer, ratio, betterIs, limit, ok }: Figure): string[] {
  const bound = limit === undefined ? "" : `${betterIs === "higher" ? "≥" : "≤"} ${inUnit(limit, unit)}`;
  const versus = `${digits(peer.value)} ${unit} (${peer.name})`;
  return [name, `${digits(value)} ${unit}`, versus, `×${digits(ratio)}`, bound, ok ? "ok" : "MISSED"];
}

function table(figures: readonly Figure[]): string {
  const rows = [["figure", "value", "against", "ratio", "limit", ""], ...figures.map(row)];
  const widths = [0, 1, 2, 3, 4, 5].map((column) => Math.max(...rows.map((cells) => cells[column]?.length ?? 0)));
  return rows
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ options: { json: { type: "boolean" } }, allowPositionals: true });
  const names = benchmarkNames();
  const name = positionals[0];
  if (name === undefined) {
    for (const each of names) {
      console.log(`${each.padEnd(16)}  ${(await load(each)).description}`);
    }
    return 0;
  }
  if (!names.includes(name)) {
    console.error(`No benchmark is called ${name}; there are: ${names.join(", ") || "none yet"}`);
    return 1;
  }
  const { description, run } = await load(name);
  const facts = machine();
  if (!values.json) {
    console.log(`${name}: ${description}`);
    console.log(`${facts.cores} cores (${facts.cpu}), ${facts.memoryGb} GB, node ${facts.node}\n`);
  }
  const figures = await run();
  console.log(values.json ? JSON.stringify({ name, description, machine: facts, figures }, null, 2) : table(figures));
  return figures.every(({ ok }) => ok) ? 0 : 1;
}

process.exitCode = await main();
