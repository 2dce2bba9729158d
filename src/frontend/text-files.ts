import * as z from "zod";
import * as diagnostics from "../diagnostics.ts";
import { BitnetcError, type Diagnostic } from "../errors.ts";
import { type FileSet, readAll } from "../tensor/source.ts";
import { parseJson, readJson, readText } from "./json-file.ts";
import type { ModelInfo } from "./model.ts";

const id = z.int().nonnegative();
const ids = z.union([id, z.array(id)]).nullish();
const size = z.int().positive().nullish();
/** Older files hold an added token as an object. */
const tokenText = z
  .union([z.string(), z.looseObject({ content: z.string() }).transform((t) => t.content)])
  .nullish();

const configFile = z.looseObject({
  bos_token_id: ids,
  eos_token_id: ids,
  vocab_size: size,
  num_hidden_layers: size,
  max_position_embeddings: size,
  n_layer: size,
  n_positions: size,
});

const generationFile = z.looseObject({
  bos_token_id: ids,
  eos_token_id: ids,
  do_sample: z.boolean().nullish(),
  temperature: z.number().nonnegative().nullish(),
  top_k: z.int().nonnegative().nullish(),
  top_p: z.number().min(0).max(1).nullish(),
});

const namedTemplate = z.looseObject({ name: z.string(), template: z.string() });
const tokenizerConfigFile = z.looseObject({
  bos_token: tokenText,
  eos_token: tokenText,
  add_bos_token: z.boolean().nullish(),
  clean_up_tokenization_spaces: z.boolean().nullish(),
  chat_template: z.union([z.string(), z.array(namedTemplate)]).nullish(),
});

const tokenizerFile = z.looseObject({
  model: z.looseObject({}),
  added_tokens: z.array(z.looseObject({ id, content: z.string() })).nullish(),
});

/**
 * Tokens that end a turn in the usual chat formats. Models are published whose files name only the end of
 * text as a stop token, while their chat template ends each turn with one of these.
 */
const endOfTurn = ["<|eot_id|>", "<|im_end|>", "<end_of_turn>"];

/**
 * What a model's text files say about it: tokenizer.json, tokenizer_config.json, chat_template.jinja,
 * generation_config.json and config.json, as far as they are there.
 * @param warn hears of what is missing or odd and does no harm
 * @throws BitnetcError listing every file and field that is not valid
 */
export async function readTextFiles(
  files: FileSet,
  warn: (warning: Diagnostic) => void = () => {},
): Promise<Partial<ModelInfo>> {
  const faults: Diagnostic[] = [];
  const config = await readJson(files, "config.json", configFile, faults);
  const generation = await readJson(files, "generation_config.json", generationFile, faults);
  const tokenizerConfig = await readJson(files, "tokenizer_config.json", tokenizerConfigFile, faults);
  const templateFile = await readText(files, "chat_template.jinja", faults);
  const tokenizer = await readTokenizer(files, faults);
  if (faults.length > 0) throw new BitnetcError(faults);

  const idOf = (text: string | null | undefined): number | undefined =>
    text == null ? undefined : tokenizer?.ids.get(text);
  const textOf = (tokenId: number | undefined): string | undefined =>
    tokenId === undefined ? undefined : tokenizer?.texts.get(tokenId);

  const chatTemplate = templateFile ?? pickTemplate(tokenizerConfig?.chat_template, warn);
  const bosId =
    listOf(generation?.bos_token_id ?? config?.bos_token_id)[0] ?? idOf(tokenizerConfig?.bos_token);
  const turnEnds = endOfTurn.filter((text) => chatTemplate?.includes(text)).map(idOf);
  const eosIds = new Set([
    ...listOf(config?.eos_token_id),
    ...listOf(generation?.eos_token_id),
    ...[idOf(tokenizerConfig?.eos_token), ...turnEnds].filter((token) => token !== undefined),
  ]);
  const bos = tokenizerConfig?.bos_token ?? textOf(bosId);
  const eos = tokenizerConfig?.eos_token ?? textOf([...eosIds][0]);
  return defined({
    bosId,
    eosIds: [...eosIds],
    vocabSize: config?.vocab_size ?? undefined,
    layers: config?.num_hidden_layers ?? config?.n_layer ?? undefined,
    maxPositions: config?.max_position_embeddings ?? config?.n_positions ?? undefined,
    tokenizer: tokenizer?.bytes,
    chatTemplate,
    tokenizerConfig: tokenizer && {
      ...defined({ bos_token: bos, eos_token: eos }),
      ...defined({
        add_bos_token: tokenizerConfig?.add_bos_token ?? undefined,
        clean_up_tokenization_spaces: tokenizerConfig?.clean_up_tokenization_spaces ?? undefined,
      }),
    },
    sampling: generation?.do_sample ? samplingOf(generation) : undefined,
  });
}

interface Tokenizer {
  readonly bytes: Uint8Array;
  readonly ids: ReadonlyMap<string, number>;
  readonly texts: ReadonlyMap<number, string>;
}

async function readTokenizer(files: FileSet, faults: Diagnostic[]): Promise<Tokenizer | undefined> {
  const name = "tokenizer.json";
  const text = await readText(files, name, faults);
  const parsed = text === undefined ? undefined : parseJson(name, text, tokenizerFile, faults);
  const source = await files.open(name);
  if (parsed === undefined || source === undefined) return undefined;
  const added = parsed.added_tokens ?? [];
  return {
    bytes: await readAll(source),
    ids: new Map(added.map((token) => [token.content, token.id])),
    texts: new Map(added.map((token) => [token.id, token.content])),
  };
}

type Template = z.output<typeof tokenizerConfigFile>["chat_template"];

function pickTemplate(template: Template, warn: (warning: Diagnostic) => void): string | undefined {
  if (template == null || typeof template === "string") return template ?? undefined;
  const chosen = template.find(({ name }) => name === "default") ?? template[0];
  if (chosen !== undefined && chosen.name !== "default") warn(diagnostics.chatTemplateChosen(chosen.name));
  return chosen?.template;
}

const samplingOf = (generation: z.output<typeof generationFile>): NonNullable<ModelInfo["sampling"]> =>
  defined({
    temperature: generation.temperature ?? undefined,
    topK: generation.top_k ?? undefined,
    topP: generation.top_p ?? undefined,
  });

const listOf = (value: number | readonly number[] | null | undefined): readonly number[] =>
  value == null ? [] : [value].flat();

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };
/** The same object without the fields that are undefined. */
function defined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>;
}
