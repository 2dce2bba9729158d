import { exitCodes, type Io, printError } from "./io.ts";
import { type CommandName, type OptionValues, optionsOf } from "./options.ts";
import { type ParsedLine, parseLine } from "./parse.ts";
import { version } from "./version.ts";

/** What a command is called with: its argument, and its options with their defaults. */
export interface CommandCall<C extends CommandName> {
  readonly argument: string;
  readonly options: OptionValues<C>;
  /** Options as they were given, without defaults: a configuration file stands between the two. */
  readonly given: Readonly<Record<string, unknown>>;
  readonly io: Io;
}

/** Gives the exit code. */
type Run<C extends CommandName> = (call: CommandCall<C>) => Promise<number>;

/** Each command is loaded when it is used: help and completion need none of the compiler. */
const runners: { readonly [C in CommandName]: () => Promise<{ readonly run: Run<C> }> } = {
  compile: () => import("./commands/compile.ts"),
  run: () => import("./commands/run.ts"),
  eval: () => import("./commands/eval.ts"),
  bench: () => import("./commands/bench.ts"),
  inspect: () => import("./commands/inspect.ts"),
  explain: () => import("./commands/explain.ts"),
  completion: () => import("./commands/completion.ts"),
};

/**
 * Runs a command line.
 * @param args without the interpreter and the script
 * @returns the exit code: 0, 1 for what is wrong with the input, 2 for what is wrong with the command line
 */
export async function runCommandLine(args: readonly string[], io: Io): Promise<number> {
  let show = { json: args.includes("--json"), verbose: args.includes("--verbose") };
  try {
    const line = parseLine(args, { out: io.out, version });
    if (line === undefined) return exitCodes.ok;
    show = { json: line.given.json === true, verbose: line.given.verbose === true };
    return await dispatch(line.command, line, io);
  } catch (error) {
    return printError(io, error, show);
  }
}

async function dispatch<C extends CommandName>(
  command: C,
  { argument, given }: ParsedLine,
  io: Io,
): Promise<number> {
  const { run } = await runners[command]();
  return await run({ argument, options: withDefaults(command, given), given, io });
}

/** Fills in the defaults of a command's options. */
function withDefaults<C extends CommandName>(command: C, given: Readonly<Record<string, unknown>>) {
  const values = optionsOf(command).map(([name, { schema }]) => [name, schema.parse(given[name])]);
  return Object.fromEntries(values) as OptionValues<C>;
}
