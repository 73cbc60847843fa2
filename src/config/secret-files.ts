import { readFileSync } from "node:fs";
import { variables } from "./variables.ts";

type Environment = Readonly<Record<string, string | undefined>>;

interface Problem {
  readonly variable: string;
  readonly message: string;
}

/** Each secret variable may have its value in a file instead, which the variable of this name names. */
export function fileVariable(name: string): string {
  return `${name}_FILE`;
}

/** The names of all variables that hold a secret. */
export const SECRET_NAMES: readonly string[] = variables
  .filter(({ secret }) => secret)
  .flatMap(({ name, aliases }) => [name, ...aliases]);

/**
 * The secrets that files hold, by the name of their variable.
 * @returns `problems`: files that cannot be used, and variables that are also set themselves. None holds a file's content.
 */
export function secretsInFiles(env: Environment): {
  readonly values: Readonly<Record<string, string>>;
  readonly problems: readonly Problem[];
} {
  const values: Record<string, string> = {};
  const problems: Problem[] = [];
  for (const name of SECRET_NAMES) {
    const variable = fileVariable(name);
    const path = env[variable]?.trim();
    if (!path) {
      continue;
    }
    if (env[name]?.trim()) {
      problems.push({ variable, message: `${name} and ${variable} are both set; set only one of them` });
      continue;
    }
    const read = readSecret(variable, path);
    if ("problem" in read) {
      problems.push({ variable, message: read.problem });
    } else if (/[\r\n]/.test(read.value)) {
      problems.push({
        variable,
        message: `${shown(variable, path)}: expected one line, with the value of ${name} alone`,
      });
    } else {
      values[name] = read.value;
    }
  }
  return { values, problems };
}

/** A secret that was given in place of a path must not be shown. */
function shown(variable: string, path: string): string {
  return /^(\/|\.{1,2}\/)/.test(path) ? `${variable}=${path}` : `${variable}, which must be the path of a file`;
}

/** The text of this file without the line ends at its end, or why it cannot be used. */
export function readSecret(variable: string, path: string): { readonly value: string } | { readonly problem: string } {
  try {
    const value = readFileSync(path, "utf8").replace(/[\r\n]+$/, "");
    return value.trim() === "" ? { problem: `${shown(variable, path)}: the file is empty` } : { value };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "there is no such file" : `the file cannot be read (${code})`;
    return { problem: `${shown(variable, path)}: ${why}` };
  }
}
