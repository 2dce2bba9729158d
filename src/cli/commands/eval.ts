import * as z from "zod";
import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError, type Diagnostic } from "../../errors.ts";
import { parseJson } from "../../frontend/json-file.ts";
import { readText } from "../../node/file-source.ts";
import type { Perplexity, Session } from "../../runtime/index.ts";
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
  // opened before anything is measured, so that a wrong path is found at once
  await using other = options.against === undefined ? undefined : await openForCommand(call, options.against);
  const ids = await idsOf(session, options);
  const result = await measure(session, ids, call);
  const against = other && (await measure(other, ids, call));
  const change = against && (result.perplexity / against.perplexity - 1) * 100;
  if (options.json) {
    printJson(io, {
      ...fields(result),
      ...(against && { against: fields(against), perplexity_change_percent: change }),
    });
    return exitCodes.ok;
  }
  io.out(describe(result));
  if (against && change !== undefined) {
    io.out(`${options.against}: ${describe(against)}`);
    io.out(`change ${change < 0 ? "" : "+"}${change.toFixed(3)} %\n`);
  }
  return exitCodes.ok;
}

async function measure(session: Session, ids: readonly number[], { options, io }: Call): Promise<Perplexity> {
  const progress = new Progress(io);
  try {
    return await session.perplexity(ids, {
      window: options.window,
      maxWindows: options.maxWindows,
      onProgress: (done, total) => progress.show(`window ${done} of ${total}`, done, total),
    });
  } finally {
    progress.clear();
  }
}

const fields = ({ nllPerToken, perplexity, tokens }: Perplexity) => ({
  nll_per_token: nllPerToken,
  perplexity,
  tokens,
});

const describe = ({ nllPerToken, perplexity, tokens }: Perplexity): string =>
  `perplexity ${perplexity.toFixed(4)} (${nllPerToken.toFixed(6)} nats per token) over ${tokens} tokens\n`;

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
