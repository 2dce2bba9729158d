import type { CommandCall } from "../cli.ts";
import { completionScript } from "../completion.ts";
import { exitCodes, printJson } from "../io.ts";
import { shells } from "../options.ts";

export async function run({ argument, options, io }: CommandCall<"completion">): Promise<number> {
  // The parser has let nothing else through.
  const shell = shells.find((name) => name === argument)!;
  const script = completionScript(shell);
  if (options.json) printJson(io, { shell, script });
  else io.out(script);
  return exitCodes.ok;
}
