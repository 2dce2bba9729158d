import { configSchema } from "./config.ts";
import {
  type CommandName,
  type CommandSpec,
  commandNames,
  commands,
  type OptionSpec,
  optionNames,
  options,
  optionsOf,
} from "./options.ts";
import { describeOption, flagsOf } from "./parse.ts";

/** docs/cli.md, from the tables that the parser is made from. */
export function commandLineReference(): string {
  return [
    "# The command line",
    "",
    "Made from src/cli/options.ts by `npm run docs`; edit that file, not this one.",
    "",
    'Results go to stdout. Progress, warnings and errors go to stderr. With `--json` stdout holds one JSON value and nothing else; what went wrong comes as `{"errors": [{"code", "severity", "message", "at"?, "hint"?}]}`.',
    "",
    "| Exit code | Meaning |",
    "|---|---|",
    "| 0 | It worked. |",
    "| 1 | Something is wrong with the model, the program or a file. No output file is left behind. |",
    "| 2 | Something is wrong with the command line. |",
    "",
    ...commandNames.flatMap(commandSection),
    ...configSection(),
  ].join("\n");
}

function commandSection(name: CommandName): string[] {
  const spec: CommandSpec = commands[name];
  return [
    `## bitnetc ${name}`,
    "",
    spec.summary,
    "",
    "```",
    `bitnetc ${name} <${spec.argument.name}> [options]`,
    "```",
    "",
    `\`<${spec.argument.name}>\` is ${spec.argument.description}${spec.argument.choices === undefined ? "" : `: ${spec.argument.choices.join(", ")}`}.`,
    "",
    ...spec.details.flatMap((paragraph) => [paragraph, ""]),
    "| Option | Meaning |",
    "|---|---|",
    ...optionsOf(name).map(
      ([option, about]) => `| \`${flagsOf(option, about)}\` | ${cell(describeOption(about))} |`,
    ),
    "",
    "```",
    ...spec.examples.map((line) => `bitnetc ${line}`),
    "```",
    "",
  ];
}

function configSection(): string[] {
  const names = optionNames.filter((name) => name in configSchema.shape);
  return [
    "## The configuration file",
    "",
    "`compile` and `explain` read bitnetc.config.js, .mjs or .json from the working folder, or the file that `--config` names. A JavaScript file has the configuration as its default export. An option on the command line goes before the same one in the file.",
    "",
    "| Field | Meaning |",
    "|---|---|",
    ...names.map((name) => `| \`${name}\` | ${cell(describeOption(options[name] as OptionSpec))} |`),
    "| `plugins` | plugins: objects `{ name, setup }`, or paths of modules from the configuration file |",
    "",
  ];
}

const cell = (text: string): string => text.replaceAll("|", "\\|");
