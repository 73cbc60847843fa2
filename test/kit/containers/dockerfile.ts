import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

export interface Instruction {
  /** Such as COPY. */
  readonly kind: string;
  readonly text: string;
}

export interface Copy {
  /** The stage that it copies from; null: the build context. */
  readonly from: string | null;
  readonly sources: readonly string[];
  readonly target: string;
}

export interface Stage {
  /** Null: the last stage, which is the image. */
  readonly name: string | null;
  /** The image or stage that it starts from. */
  readonly base: string;
  readonly instructions: readonly Instruction[];
}

export type ImageName = "orchestrator" | "gpu-worker";

/** The instructions of one of our Dockerfiles, in order, without comments, with continued lines joined. */
export function instructionsOf(image: ImageName): Instruction[] {
  const text = readFileSync(`${ROOT}deployment/docker/${image}.Dockerfile`, "utf8");
  const joined = text.replace(/^\s*#.*\n/gm, "").replace(/\\\n\s*/g, " ");
  return joined.split("\n").flatMap((line) => {
    const [, kind, rest] = /^([A-Z]+) (.*)$/.exec(line) ?? [];
    return kind === undefined || rest === undefined ? [] : [{ kind, text: rest }];
  });
}

export function stagesOf(image: ImageName): Stage[] {
  const stages: { name: string | null; base: string; instructions: Instruction[] }[] = [];
  for (const instruction of instructionsOf(image)) {
    if (instruction.kind === "FROM") {
      const [base = "", , name = null] = instruction.text.split(/\s+/);
      stages.push({ name, base, instructions: [] });
    } else {
      stages.at(-1)?.instructions.push(instruction);
    }
  }
  return stages;
}

/** @throws Error when the image has no such stage */
export function stageOf(image: ImageName, name: string | null): Stage {
  const found = stagesOf(image).find((stage) => stage.name === name);
  if (found === undefined) {
    throw new Error(`${image}.Dockerfile has no stage ${name ?? "without a name"}`);
  }
  return found;
}

export function copiesOf({ instructions }: Stage): Copy[] {
  return instructions
    .filter(({ kind }) => kind === "COPY")
    .map(({ text }) => {
      const [, from = null, paths = ""] = /^(?:--from=(\S+) )?(.*)$/.exec(text) ?? [];
      const all = paths.split(/\s+/);
      return { from, sources: all.slice(0, -1), target: all.at(-1) ?? "" };
    });
}

export function runsOf({ instructions }: Stage): string[] {
  return instructions.filter(({ kind }) => kind === "RUN").map(({ text }) => text);
}
