import type { Place } from "./places.ts";

export type Shell = "bash" | "zsh" | "fish";

/** A script with which a shell completes `gpu-pool`, in lines. It runs no program: all words are in it. */
export function completionScript(shell: Shell, places: readonly Place[]): string[] {
  switch (shell) {
    case "bash":
      return bash(places);
    case "zsh":
      // Zsh understands what bash's completion is written in.
      return [
        "(( ${+functions[compdef]} )) || { autoload -U +X compinit && compinit -u }",
        "autoload -U +X bashcompinit && bashcompinit",
        ...bash(places),
      ];
    case "fish":
      return fish(places);
  }
}

/** With no word in COMPREPLY the shell completes names of files. */
function bash(places: readonly Place[]): string[] {
  const paths = places.filter(({ path }) => path !== "").map(({ path }) => quoted(path));
  return [
    "_gpu_pool() {",
    '  local i path="" words="" word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}"',
    "  for ((i = 1; i < COMP_CWORD; i++)); do",
    '    case "${path:+$path }${COMP_WORDS[i]}" in',
    `      ${paths.join("|")}) path="\${path:+$path }\${COMP_WORDS[i]}" ;;`,
    "    esac",
    "  done",
    "  COMPREPLY=()",
    '  case "$path $before" in',
    ...places.flatMap(({ path, values }) =>
      values.map(([flag, known]) => {
        const then = known === null ? "return" : `words=${quoted(known.join(" "))}`;
        return `    ${quoted(`${path} ${flag}`)}) ${then} ;;`;
      }),
    ),
    "    *)",
    '      case "$path" in',
    ...places.map(
      ({ path, words }) => `        ${quoted(path)}) words=${quoted(words.map(({ word }) => word).join(" "))} ;;`,
    ),
    "      esac",
    "  esac",
    '  COMPREPLY=($(compgen -W "$words" -- "$word"))',
    '  if [[ "${COMPREPLY[*]}" == *= ]]; then compopt -o nospace 2> /dev/null || true; fi',
    "}",
    "complete -o default -F _gpu_pool gpu-pool",
  ];
}

function fish(places: readonly Place[]): string[] {
  const paths = places.filter(({ path }) => path !== "").map(({ path }) => quoted(path));
  return [
    "function __gpu_pool_words",
    "  set -l tokens (commandline -opc)",
    "  set -l path ''",
    "  for token in $tokens[2..-1]",
    '    set -l longer (string trim "$path $token")',
    `    if contains -- $longer ${paths.join(" ")}`,
    "      set path $longer",
    "    end",
    "  end",
    '  switch "$path $tokens[-1]"',
    ...places.flatMap(({ path, values }) =>
      values.flatMap(([flag, known]) => [
        `    case ${quoted(`${path} ${flag}`)}`,
        known === null ? "      __fish_complete_path (commandline -ct)" : `      printf '%s\\n' ${all(known)}`,
      ]),
    ),
    "    case '*'",
    '      switch "$path"',
    ...places.flatMap(({ path, words }) => [
      `        case ${quoted(path)}`,
      `          printf '%s\\t%s\\n' ${all(words.flatMap(({ word, meaning }) => [word, meaning]))}`,
    ]),
    "      end",
    "  end",
    "end",
    "complete -c gpu-pool -f -a '(__gpu_pool_words)'",
  ];
}

function all(words: readonly string[]): string {
  return words.map(quoted).join(" ");
}

/** For any of the shells. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
