import {
  type CommandName,
  type CommandSpec,
  commandNames,
  commands,
  flagOf,
  type OptionSpec,
  optionsOf,
  type shells,
} from "./options.ts";
import { kindOf } from "./schema-kind.ts";

/** The script that makes a shell complete bitnetc's commands, options, choices and files. */
export const completionScript = (shell: (typeof shells)[number]): string => scripts[shell]();

const scripts: { readonly [S in (typeof shells)[number]]: () => string } = { bash, zsh, fish };

interface Flag {
  readonly names: readonly string[];
  readonly spec: OptionSpec;
  readonly isRepeatable: boolean;
  readonly choices: readonly string[];
}

const flagsOf = (command: CommandName): readonly Flag[] =>
  optionsOf(command).map(([name, spec]) => {
    const { type, choices } = kindOf(spec.schema);
    const short = spec.short === undefined ? [] : [`-${spec.short}`];
    return { names: [...short, flagOf(name)], spec, isRepeatable: type === "list", choices };
  });

const argumentOf = (command: CommandName): CommandSpec["argument"] => commands[command].argument;

function bash(): string {
  const cases = commandNames.map((command) => {
    const flags = flagsOf(command);
    const values = flags
      .filter(({ spec }) => spec.placeholder !== undefined)
      .map(
        ({ names, spec, choices }) => `        ${names.join("|")}) ${bashValue(spec, choices)}; return ;;`,
      );
    const { choices } = argumentOf(command);
    return `    ${command})
      case "$previous" in
${values.join("\n")}
      esac
      if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "${flags.flatMap(({ names }) => names).join(" ")} --help" -- "$current"))
      else
        ${bashValue({ completes: "file" }, choices ?? [])}
      fi ;;`;
  });
  return `_bitnetc() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command="" word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in
      ${commandNames.join("|")}) command=$word; break ;;
    esac
  done
  COMPREPLY=()
  case "$command" in
    "") COMPREPLY=($(compgen -W "${commandNames.join(" ")} --help --version" -- "$current")) ;;
${cases.join("\n")}
  esac
}
complete -o filenames -F _bitnetc bitnetc
`;
}

function bashValue({ completes }: Pick<OptionSpec, "completes">, choices: readonly string[]): string {
  if (choices.length > 0) return `COMPREPLY=($(compgen -W "${choices.join(" ")}" -- "$current"))`;
  if (completes === undefined) return ":";
  return `local IFS=$'\\n'; COMPREPLY=($(compgen ${completes === "file" ? "-f" : "-d"} -- "$current"))`;
}

function zsh(): string {
  const summaries = commandNames.map((name) => `    '${zshText(`${name}:${commands[name].summary}`)}'`);
  const cases = commandNames.map((command) => {
    const argument = argumentOf(command);
    const parts = [
      ...flagsOf(command).map(zshFlag),
      `'(-h --help)'{-h,--help}'[print this help]'`,
      `'1:${argument.name}:${argument.choices === undefined ? "_files" : `(${argument.choices.join(" ")})`}'`,
    ];
    return `        ${command}) _arguments \\\n          ${parts.join(" \\\n          ")} ;;`;
  });
  return `#compdef bitnetc
_bitnetc() {
  local state line
  local -a commands
  commands=(
${summaries.join("\n")}
  )
  _arguments -C '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe command commands ;;
    argument)
      case $words[1] in
${cases.join("\n")}
      esac ;;
  esac
}
compdef _bitnetc bitnetc
`;
}

function zshFlag({ names, spec, isRepeatable, choices }: Flag): string {
  const action =
    choices.length > 0
      ? `(${choices.join(" ")})`
      : { file: "_files", folder: "_files -/", none: "" }[spec.completes ?? "none"];
  const value = spec.placeholder === undefined ? "" : `:${spec.placeholder}:${action}`;
  const description = `[${zshText(spec.description).replace(/[[\]]/g, "\\$&")}]`;
  if (isRepeatable) return `'*${names.join("")}${description}${value}'`;
  if (names.length === 1) return `'${names[0]}${description}${value}'`;
  return `'(${names.join(" ")})'{${names.join(",")}}'${description}${value}'`;
}

const zshText = (text: string): string => text.replaceAll("'", `'\\''`);

function fish(): string {
  const lines = ["complete -c bitnetc -f"];
  for (const command of commandNames) {
    lines.push(
      `complete -c bitnetc -n __fish_use_subcommand -a ${command} -d '${fishText(commands[command].summary)}'`,
    );
    const { choices } = argumentOf(command);
    const when = `complete -c bitnetc -n '__fish_seen_subcommand_from ${command}'`;
    lines.push(`${when} ${choices === undefined ? "-F" : `-a '${choices.join(" ")}'`}`);
    for (const flag of flagsOf(command)) {
      const names = flag.names.map((name) =>
        name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
      );
      lines.push(`${when} ${names.join(" ")}${fishValue(flag)} -d '${fishText(flag.spec.description)}'`);
    }
  }
  return `${lines.join("\n")}\n`;
}

function fishValue({ spec, choices }: Flag): string {
  if (spec.placeholder === undefined) return "";
  if (choices.length > 0) return ` -x -a '${choices.join(" ")}'`;
  if (spec.completes === "folder") return " -x -a '(__fish_complete_directories)'";
  return spec.completes === "file" ? " -r -F" : " -x";
}

const fishText = (text: string): string => text.replace(/['\\]/g, "\\$&");
