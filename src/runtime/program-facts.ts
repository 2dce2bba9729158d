import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import type { OpenProgram } from "../serialize/open-program.ts";
import type { ConstantResult } from "../serialize/program-reader.ts";
import type { ProgramFacts } from "./session.ts";
import { chatTemplateIn } from "./text/tokenizer.ts";

/**
 * What a program says of itself.
 * @param tokenizer texts in place of the program's
 * @param identity what tells it apart, where that is not its own SHA-256
 * @throws BitnetcError `program-corrupt`, and as `OpenProgram.blob` does
 */
export async function readFacts(
  program: OpenProgram,
  tokenizer: { readonly json: string; readonly config?: string } | undefined,
  identity = program.sha256,
): Promise<ProgramFacts> {
  const text = async (key: string): Promise<string | undefined> =>
    program.blobs.has(key) ? new TextDecoder().decode(await program.blob(key)) : undefined;
  const tokenizerConfig = tokenizer === undefined ? await text("tokenizer_config.json") : tokenizer.config;
  const { constants } = program.file;
  return {
    maxSeqLen: numbersIn(constants.get("get_max_context_len") ?? constants.get("get_max_seq_len"))[0],
    bosId: numbersIn(constants.get("get_bos_id"))[0],
    eosIds: numbersIn(constants.get("get_eos_ids")),
    texts: {
      tokenizer: tokenizer?.json ?? (await text("tokenizer.json")),
      tokenizerConfig,
      chatTemplate: (await text("chat_template.jinja")) ?? chatTemplateIn(tokenizerConfig),
    },
    sampling: samplingIn(program.file.source.name, await text("generation_config.json")),
    identity,
  };
}

const numbersIn = (result: ConstantResult | undefined): readonly number[] =>
  [result ?? []].flat().filter((value) => typeof value === "number");

/** @throws BitnetcError `program-corrupt` for what is not JSON */
function samplingIn(program: string, json = "{}"): ProgramFacts["sampling"] {
  let fields: Readonly<Record<string, unknown>> | null;
  try {
    fields = JSON.parse(json);
  } catch (cause) {
    throw new BitnetcError(diagnostics.programCorrupt(program, "its generation_config.json is not JSON"), {
      cause,
    });
  }
  const { temperature, top_k: topK, top_p: topP } = fields ?? {};
  return {
    ...(typeof temperature === "number" && { temperature }),
    ...(typeof topK === "number" && { topK }),
    ...(typeof topP === "number" && { topP }),
  };
}
