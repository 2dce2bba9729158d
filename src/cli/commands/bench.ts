import { basename } from "node:path";
import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError } from "../../errors.ts";
import { measureBandwidth } from "../../node/bandwidth.ts";
import type { Session } from "../../runtime/index.ts";
import { Pcg32 } from "../../runtime/random.ts";
import type { CommandCall } from "../cli.ts";
import { exitCodes, printJson } from "../io.ts";
import { openForCommand } from "../open-program.ts";
import { formatProfile, summarise } from "../profile.ts";
import { Progress } from "../progress.ts";

type Call = CommandCall<"bench">;

/** Milliseconds that a prompt took to the first new token, and those that `newTokens` more took. */
interface Times {
  readonly prefill: number;
  readonly decode: number;
}

export async function run(call: Call): Promise<number> {
  const { argument, options, io } = call;
  const { promptTokens, newTokens, runs } = options;
  await using session = await openForCommand(call);
  const prompt = randomPrompt(session, promptTokens, newTokens);
  const progress = new Progress(io);
  const times: Times[] = [];
  try {
    for (let i = 0; i <= runs; i++) {
      progress.show("measuring", i, runs + 1);
      const time = await timeOnce(session, prompt, newTokens);
      // the first is to warm up
      if (i > 0) times.push(time);
    }
  } finally {
    progress.clear();
  }
  const { dispatchesPerToken } = session.info;
  const result = {
    program: basename(argument),
    device: session.device,
    prompt_tokens: promptTokens,
    new_tokens: newTokens,
    runs,
    prefill: {
      ms: spread(times.map(({ prefill }) => prefill)),
      tokens_per_second: spread(times.map(({ prefill }) => (promptTokens * 1000) / prefill)),
    },
    decode: {
      ms_per_token: spread(times.map(({ decode }) => decode / newTokens)),
      tokens_per_second: spread(times.map(({ decode }) => (newTokens * 1000) / decode)),
    },
    ...(dispatchesPerToken === undefined ? {} : { dispatches_per_token: dispatchesPerToken }),
    ...(options.profile ? { profile: await profileOf(session, prompt, newTokens) } : {}),
  };
  if (options.json) printJson(io, result);
  else io.out(textOf(result));
  return exitCodes.ok;
}

/** @throws BitnetcError `not-a-language-model`, `bench-capacity` */
function randomPrompt(session: Session, promptTokens: number, newTokens: number): readonly number[] {
  const { vocabSize, maxSeqLen } = session.info;
  if (!session.info.isLanguageModel || vocabSize === undefined)
    throw new BitnetcError(diagnostics.notLanguageModel());
  // the last token need not fit in the cache
  const positions = promptTokens + newTokens;
  if (maxSeqLen !== undefined && positions > maxSeqLen)
    throw new BitnetcError(diagnostics.benchCapacity(positions, maxSeqLen));
  const random = new Pcg32(1n);
  return Array.from({ length: promptTokens }, () => Math.floor(random.uniform() * vocabSize));
}

async function timeOnce(session: Session, prompt: readonly number[], newTokens: number): Promise<Times> {
  session.kv.truncate(0);
  const start = performance.now();
  let first = 0;
  for await (const _ of session.generate({ ids: prompt }, { maxNewTokens: 1 + newTokens, ignoreEos: true }))
    first ||= performance.now();
  return { prefill: first - start, decode: performance.now() - first };
}

/** Where the time of prefill and of decode goes. */
async function profileOf(session: Session, prompt: readonly number[], newTokens: number) {
  const ids = [...prompt];
  const continued = async (maxNewTokens: number) => {
    for await (const { id } of session.generate({ ids: [...ids] }, { maxNewTokens, ignoreEos: true }))
      ids.push(id);
  };
  session.kv.truncate(0);
  const prefill = await session.profile(() => continued(1));
  const decode = await session.profile(() => continued(newTokens));
  return {
    bandwidth_gb_per_second: (await measureBandwidth()) / 1e9,
    prefill: summarise(prefill, prompt.length),
    decode: summarise(decode, newTokens),
  };
}

interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

type Result = {
  readonly program: string;
  readonly device: string;
  readonly prompt_tokens: number;
  readonly new_tokens: number;
  readonly runs: number;
  readonly prefill: { readonly ms: Spread; readonly tokens_per_second: Spread };
  readonly decode: { readonly ms_per_token: Spread; readonly tokens_per_second: Spread };
  readonly dispatches_per_token?: number;
  readonly profile?: Awaited<ReturnType<typeof profileOf>>;
};

function textOf(result: Result): string {
  const { program, device, prompt_tokens, new_tokens, runs, prefill, decode, profile } = result;
  const dispatches = result.dispatches_per_token;
  const show = ({ median, min, max }: Spread) => `${short(median)} (${short(min)} … ${short(max)})`;
  const lines = [
    `${program} on ${device}, median of ${runs} (least … most)`,
    `prefill  ${prompt_tokens} tokens: ${show(prefill.tokens_per_second)} tokens/s, first token after ${show(prefill.ms)} ms`,
    `decode   ${new_tokens} tokens: ${show(decode.tokens_per_second)} tokens/s, ${show(decode.ms_per_token)} ms each${dispatches === undefined ? "" : `, ${dispatches} dispatches`}`,
  ];
  if (profile !== undefined) {
    const { bandwidth_gb_per_second: bandwidth } = profile;
    const { prefill, decode } = profile;
    const [before, after] = [`prefill of ${prefill.tokens} tokens`, "a token of decode"];
    lines.push("", formatProfile(before, prefill, bandwidth).trimEnd());
    lines.push("", formatProfile(after, decode, bandwidth, decode.tokens).trimEnd());
  }
  return `${lines.join("\n")}\n`;
}

const short = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));
