import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import type { z } from "zod";
import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import {
  type CommandName,
  type CommandSpec,
  commandNames,
  commands,
  flagOf,
  type OptionSpec,
  optionsOf,
} from "./options.ts";
import { kindOf } from "./schema-kind.ts";

/** A command line, taken apart. Only what was given is in `given`; defaults come later. */
export interface ParsedLine {
  readonly command: CommandName;
  readonly argument: string;
  readonly given: Readonly<Record<string, unknown>>;
}

interface Printer {
  readonly out: (text: string) => void;
  readonly version: string;
}

/**
 * @param args without the interpreter and the script
 * @returns undefined when help or the version was asked for and printed
 * @throws BitnetcError `usage`
 */
export function parseLine(args: readonly string[], printer: Printer): ParsedLine | undefined {
  let parsed: ParsedLine | undefined;
  const program = createParser(printer, (line) => {
    parsed = line;
  });
  if (args.length === 0) {
    printer.out(program.helpInformation());
    return undefined;
  }
  try {
    program.parse([...args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    // Commander would print its help where a command is missing or, after `help`, unknown.
    const message = error.code === "commander.help" ? noCommand : sentence(error.message);
    throw new BitnetcError(diagnostics.usage(message, hintFor(args)));
  }
  return parsed;
}

/** The parser that the tables describe. `onLine` is called with the command that was given. */
function createParser(printer: Printer, onLine: (line: ParsedLine) => void): Command {
  const program = new Command("bitnetc")
    .description("Compiles BitNet language models to one ExecuTorch program file, and runs it.")
    .version(printer.version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand("help [command]", "print the help of a command")
    .exitOverride()
    .configureOutput({ writeOut: printer.out, writeErr: () => {} });
  // What every command takes can also stand in front of the command.
  for (const [name, option] of optionsOf(commandNames[0]!)) {
    if (option.commands.length === commandNames.length) program.addOption(toOption(name, option));
  }
  for (const name of commandNames) program.addCommand(createCommand(name, printer, onLine));
  return program;
}

function createCommand(name: CommandName, printer: Printer, onLine: (line: ParsedLine) => void): Command {
  const spec: CommandSpec = commands[name];
  const { argument } = spec;
  const command = new Command(name)
    .description([spec.summary, ...spec.details].join("\n\n"))
    .summary(spec.summary)
    .helpOption("-h, --help", "print this help")
    .exitOverride()
    .configureOutput({ writeOut: printer.out, writeErr: () => {} })
    .addHelpText("after", `\nExamples:\n${spec.examples.map((line) => `  bitnetc ${line}`).join("\n")}`);
  command.argument(
    `<${argument.name}>`,
    describeArgument(argument),
    argument.choices === undefined ? (text: string) => text : choose(argument.choices),
  );
  for (const [optionName, option] of optionsOf(name)) command.addOption(toOption(optionName, option));
  return command.action((value: string) => {
    onLine({ command: name, argument: value, given: command.optsWithGlobals() });
  });
}

const describeArgument = ({ description, choices }: CommandSpec["argument"]): string =>
  choices === undefined ? description : `${description}: ${choices.join(", ")}`;

function choose(choices: readonly string[]): (text: string) => string {
  return (text) => {
    if (choices.includes(text)) return text;
    throw new InvalidArgumentError(`Choose one of ${choices.join(", ")}.`);
  };
}

function toOption(name: string, spec: OptionSpec): Option {
  const option = new Option(flagsOf(name, spec), describeOption(spec));
  const { type } = kindOf(spec.schema);
  if (type === "boolean") return option;
  return option.argParser((text: string, previous: unknown) => {
    if (type === "list") return [...((previous as readonly string[] | undefined) ?? []), text];
    return checked(spec.schema, type === "number" ? toNumber(text) : text);
  });
}

/** `-o, --output <FILE>` */
export function flagsOf(name: string, { short, placeholder }: OptionSpec): string {
  return `${short === undefined ? "" : `-${short}, `}${flagOf(name)}${placeholder === undefined ? "" : ` <${placeholder}>`}`;
}

/** The description with the choices and the default. */
export function describeOption({ description, schema }: OptionSpec): string {
  const { type, choices, defaultValue } = kindOf(schema);
  const notes = [
    ...(choices.length > 0 ? [choices.join(", ")] : []),
    ...(defaultValue === undefined || type === "boolean" || type === "list"
      ? []
      : [`default: ${defaultValue}`]),
  ];
  return notes.length === 0 ? description : `${description} (${notes.join("; ")})`;
}

function toNumber(text: string): number {
  const number = text.trim() === "" ? Number.NaN : Number(text);
  if (Number.isFinite(number)) return number;
  throw new InvalidArgumentError("A number is expected.");
}

function checked(schema: z.ZodType, value: unknown): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new InvalidArgumentError(result.error.issues.map(({ message }) => `${message}.`).join(" "));
}

const noCommand = `Give one of the commands ${commandNames.join(", ")}.`;

/** Commander's messages begin with `error: ` in lower case. */
function sentence(message: string): string {
  const text = message.replace(/^error: /, "");
  return `${text[0]?.toUpperCase() ?? ""}${text.slice(1)}${/[.?)]$/.test(text) ? "" : "."}`;
}

function hintFor(args: readonly string[]): string {
  const command = commandNames.find((name) => name === args[0]);
  return `See \`bitnetc ${command === undefined ? "" : `${command} `}--help\`.`;
}
