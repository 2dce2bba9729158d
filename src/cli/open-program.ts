import { dirname, join } from "node:path";
import { BitnetcError } from "../errors.ts";
import { readText } from "../node/file-source.ts";
import { openProgram } from "../node/open-program.ts";
import type { Session } from "../runtime/index.ts";
import type { CommandCall } from "./cli.ts";
import { Progress } from "./progress.ts";

/**
 * Opens the program that a command is about, with the options that `run`, `eval` and `bench` share.
 * @param path of another program to open in the same way
 */
export async function openForCommand(
  call: CommandCall<"run"> | CommandCall<"eval"> | CommandCall<"bench">,
  path = call.argument,
): Promise<Session> {
  const { options, io } = call;
  const progress = new Progress(io);
  const tokenizer = "tokenizer" in options ? options.tokenizer : undefined;
  try {
    const session = await openProgram(path, {
      device: options.device,
      profile: "profile" in options && options.profile,
      ...(tokenizer === undefined ? {} : { tokenizer: await readTokenizer(tokenizer) }),
      onProgress: ({ loaded, total }) => progress.show("loading", loaded, total),
    });
    if (options.verbose) {
      const { deviceNote } = session.info;
      io.err(`device: ${session.device}\n${deviceNote === undefined ? "" : `${deviceNote}\n`}`);
    }
    return session;
  } finally {
    progress.clear();
  }
}

/** A tokenizer.json, with the tokenizer_config.json beside it if there is one. */
async function readTokenizer(path: string): Promise<{ readonly json: string; readonly config?: string }> {
  const json = await readText(path);
  try {
    return { json, config: await readText(join(dirname(path), "tokenizer_config.json")) };
  } catch (error) {
    if (error instanceof BitnetcError && error.code === "file-missing") return { json };
    throw error;
  }
}
