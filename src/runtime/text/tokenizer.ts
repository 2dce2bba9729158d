import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError, messageOf } from "../../errors.ts";
import { incompleteCharacter, TextStream } from "./text-stream.ts";

/** Text to token ids and back, as the model's tokenizer.json says. */
export interface Tokenizer {
  /**
   * @param options.special whether the tokenizer's template is applied, which is what puts a
   * begin-of-sequence token in front; true unless said otherwise. Special tokens that the text itself
   * spells out are recognised either way.
   */
  encode(text: string, options?: { readonly special?: boolean }): number[];
  /** Special tokens leave no text. Bytes that are not UTF-8 become U+FFFD. */
  decode(ids: readonly number[]): string;
  /** Decodes ids one at a time. */
  stream(): TextStream;
  /** Text of the tokens that chat templates refer to. */
  readonly specialTokens: { readonly bos?: string; readonly eos?: string };
}

/**
 * Reads tokenizer.json and, where there is one, tokenizer_config.json.
 *
 * The library that does the work is loaded when the first tokenizer is made.
 * @throws BitnetcError `tokenizer` when the files are not what the library can read
 */
export async function createTokenizer(json: string, configJson?: string): Promise<Tokenizer> {
  const definition = parseObject("tokenizer.json", json);
  const config = configJson === undefined ? {} : parseObject("tokenizer_config.json", configJson);
  const { Tokenizer: Library } = await import("@huggingface/tokenizers");
  let library: InstanceType<typeof Library>;
  try {
    library = new Library(definition, config);
  } catch (cause) {
    throw new BitnetcError(diagnostics.tokenizer("tokenizer.json", messageOf(cause)), { cause });
  }
  const bos = tokenText(config.bos_token);
  const eos = tokenText(config.eos_token);
  const bosId = bos === undefined ? undefined : library.token_to_id(bos);
  const addsBos = config.add_bos_token === true;
  // transformers left this clean-up on for models that say so and off for the others
  const cleanUp = config.clean_up_tokenization_spaces === true;
  const special = new Set<number>();
  for (const [id, token] of library.get_added_tokens_decoder()) if (token.special) special.add(id);

  const decode = (ids: readonly number[]): string => {
    const known = ids.filter((id) => !special.has(id) && library.id_to_token(id) !== undefined);
    if (known.length === 0) return "";
    return library.decode(known, { skip_special_tokens: true, clean_up_tokenization_spaces: cleanUp });
  };
  return {
    encode(text, options = {}) {
      const withTemplate = options.special ?? true;
      const ids = library.encode(text, { add_special_tokens: withTemplate }).ids;
      // Some tokenizer.json files leave the begin-of-sequence token to the class named in the config.
      if (withTemplate && addsBos && bosId !== undefined && ids[0] !== bosId) return [bosId, ...ids];
      return ids;
    },
    decode,
    stream: () => new TextStream(decode, cleanUp ? cleanedUpLater : incompleteCharacter),
    specialTokens: { ...(bos === undefined ? {} : { bos }), ...(eos === undefined ? {} : { eos }) },
  };
}

/** An end that the clean-up may still join to the next token: a space, or one and part of a contraction. */
const cleanedUpLater = /(\uFFFD| '?| n'?| '[vr])$/;

function parseObject(file: string, json: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new BitnetcError(diagnostics.tokenizer(file, messageOf(cause)), { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new BitnetcError(diagnostics.tokenizer(file, "an object is expected"));
  }
  return value as Record<string, unknown>;
}

/** A token in tokenizer_config.json is its text or an object that holds it. */
function tokenText(token: unknown): string | undefined {
  if (typeof token === "string") return token;
  if (typeof token === "object" && token !== null && "content" in token) return tokenText(token.content);
  return undefined;
}

/**
 * The chat template in a tokenizer_config.json: Jinja source, or a list of named ones of which `default` is
 * meant. Newer checkpoints have it in a file of its own.
 */
export function chatTemplateIn(configJson: string | undefined): string | undefined {
  if (configJson === undefined) return undefined;
  const template = parseObject("tokenizer_config.json", configJson).chat_template;
  if (typeof template === "string") return template;
  if (!Array.isArray(template)) return undefined;
  const named = template as readonly { readonly name?: unknown; readonly template?: unknown }[];
  const chosen = named.find((entry) => entry?.name === "default") ?? named[0];
  return typeof chosen?.template === "string" ? chosen.template : undefined;
}
