import type { Command, Option } from "commander";

/** The words that may follow a command, as its declaration says. */
export interface Place {
  /** The command as it is typed after `gpu-pool`; empty: the program itself. */
  readonly path: string;
  /** Commands and flags, each with what it means. */
  readonly words: readonly Word[];
  /** By flag that takes a value: its values; null: any, such as a file. */
  readonly values: readonly (readonly [flag: string, values: readonly string[] | null])[];
}

interface Word {
  readonly word: string;
  readonly meaning: string;
}

/** Values that the declarations do not list, by flag or by command. */
export type KnownValues = Readonly<Record<string, readonly string[]>>;

/** The program and every command below it. */
export function placesOf(program: Command, known: KnownValues): Place[] {
  return placesBelow(program, "", known, program.options);
}

function placesBelow(command: Command, path: string, known: KnownValues, global: readonly Option[]): Place[] {
  const options = [...new Set([...command.options, ...global])].filter(({ hidden }) => !hidden);
  const help = { word: "--help", meaning: "show how it is used" };
  const place = {
    path,
    words: [
      ...command.commands.map((each) => ({ word: each.name(), meaning: each.description() })),
      ...argumentsOf(command, path, known).map((word) => ({ word, meaning: "" })),
      ...options.map(({ long, short, description }) => ({ word: long ?? short ?? "", meaning: description })),
      help,
    ],
    values: options.filter(takesValue).flatMap((option) => {
      const values = option.argChoices ?? known[`${path} ${option.long}`] ?? known[option.long ?? ""] ?? null;
      return [option.long, option.short].flatMap((flag) => (flag ? [[flag, values] as const] : []));
    }),
  };
  const below = command.commands.flatMap((each) =>
    [each.name(), ...each.aliases()].flatMap((name) => placesBelow(each, `${path} ${name}`.trim(), known, global)),
  );
  return [place, ...below];
}

function argumentsOf(command: Command, path: string, known: KnownValues): readonly string[] {
  return [...command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices), ...(known[path] ?? [])];
}

function takesValue({ required, optional }: Option): boolean {
  return required || optional;
}
