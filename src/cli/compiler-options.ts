import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import { type OptionsInput, unsuitable } from "../options.ts";
import type { CommandCall } from "./cli.ts";
import { loadConfig, loadPlugin } from "./config.ts";
import { flagOf, type OptionSpec, optionNames, options } from "./options.ts";

/** The compiler's options: those of the command line, then those of the configuration file, then the defaults. */
export async function compilerOptions(
  call: CommandCall<"compile"> | CommandCall<"explain">,
): Promise<OptionsInput> {
  const config = await loadConfig(call.options.config);
  const plugins = await Promise.all(call.options.plugin.map(loadPlugin));
  const settings = optionNames
    .filter((name) => (options[name] as OptionSpec).inConfig)
    .map((name) => [name, call.given[name] ?? config.options[name]] as const)
    .filter(([, value]) => value !== undefined);
  const faults = unsuitable(Object.fromEntries(settings));
  if (faults.length > 0)
    throw new BitnetcError(
      faults.map(({ option, value, backends }) =>
        diagnostics.usage(`${flagOf(option)} ${value} goes with --backend ${backends.join(" or ")}.`),
      ),
    );
  return { ...Object.fromEntries(settings), plugins: [...config.plugins, ...plugins] };
}
