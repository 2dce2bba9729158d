import { z } from "zod";
import { BitnetcError, type Diagnostic, diagnostics } from "../../errors.ts";
import { parseJson } from "../../frontend/json-file.ts";
import { readText } from "../../node/file-source.ts";
import type { Session } from "../../runtime/index.ts";
import type { CommandCall } from "../cli.ts";
import { exitCodes, printJson } from "../io.ts";
import { openForCommand } from "../open-program.ts";
import { Progress } from "../progress.ts";

type Call = CommandCall<"eval">;

export async function run(call: Call): Promise<number> {
  const { options, io } = call;
  if ((options.text === undefined) === (options.ids === undefined)) {
    throw new BitnetcError(diagnostics.usage("Give one of --text and --ids."));
  }
  await using session = await openForCommand(call);
  const ids = await idsOf(session, options);
  const progress = new Progress(io);
  const result = await session.perplexity(ids, {
    window: options.window,
    maxWindows: options.maxWindows,
    onProgress: (done, total) => progress.show(`window ${done} of ${total}`, done, total),
  });
  progress.clear();
  if (options.json) {
    printJson(io, {
      nll_per_token: result.nllPerToken,
      perplexity: result.perplexity,
      tokens: result.tokens,
    });
    return exitCodes.ok;
  }
  io.out(
    `perplexity ${result.perplexity.toFixed(4)} (${result.nllPerToken.toFixed(6)} nats per token) ` +
      `over ${result.tokens} tokens\n`,
  );
  return exitCodes.ok;
}

async function idsOf(session: Session, { text, ids }: Call["options"]): Promise<readonly number[]> {
  if (text !== undefined) {
    const contents = await readText(text);
    return (await session.tokenizer()).encode(contents, { special: false });
  }
  const faults: Diagnostic[] = [];
  const parsed = parseJson(ids!, await readText(ids!), z.array(z.int().nonnegative()), faults);
  if (parsed === undefined) throw new BitnetcError(faults);
  return parsed;
}
