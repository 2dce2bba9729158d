import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import { type Dim, dimKey, maxOf } from "../tensor/dim.ts";
import type { DType } from "../tensor/dtype.ts";
import type { Tensor, TensorData } from "../tensor/tensor.ts";
import type { Executor } from "./executor.ts";
import { type GeneratedToken, type GenerateOptions, generateTokens } from "./generate.ts";
import type { ProgramGraph } from "./graph.ts";
import { bindInputs } from "./inputs.ts";
import { readSnapshot, saveCache } from "./kv-snapshot.ts";
import { LanguageModel, languageModelSignature } from "./language-model.ts";
import { defaultWindow, type Perplexity, type PerplexityOptions, perplexityOf } from "./perplexity.ts";
import { type ChatMessage, renderChat } from "./text/chat-template.ts";
import { createTokenizer, type Tokenizer } from "./text/tokenizer.ts";
import { Turns } from "./turns.ts";
import type { ProfileEntry } from "./webgpu/profile.ts";

/** What to continue: text, a conversation, or token ids as they are. */
export type Prompt = string | readonly ChatMessage[] | { readonly ids: readonly number[] };

/** What a program says of itself beside its graph. */
export interface ProgramFacts {
  readonly maxSeqLen: number | undefined;
  readonly bosId: number | undefined;
  /** Text ends after any of these. */
  readonly eosIds: readonly number[];
  /** Texts of files that belong to the model. */
  readonly texts: {
    readonly tokenizer?: string | undefined;
    readonly tokenizerConfig?: string | undefined;
    readonly chatTemplate?: string | undefined;
  };
  /** Sampling that the model's authors recommend. It is information: nothing applies it unasked. */
  readonly sampling: { readonly temperature?: number; readonly topK?: number; readonly topP?: number };
  /** Tells programs apart: SHA-256 of the graph and the table of the weights, in hexadecimal. */
  readonly identity: string;
}

export interface SessionInfo {
  readonly inputs: readonly TensorInfo[];
  readonly outputs: readonly TensorInfo[];
  /** Whether `generate` can be used. */
  readonly isLanguageModel: boolean;
  /** Positions that the program has room for. */
  readonly maxSeqLen: number | undefined;
  readonly vocabSize: number | undefined;
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
  /** Whether keys and values are kept from call to call, or every token recomputes the sequence. */
  readonly hasCache: boolean;
  readonly hasTokenizer: boolean;
  readonly hasChatTemplate: boolean;
  readonly sampling: ProgramFacts["sampling"];
  /** Why it does not run on a GPU, as a sentence; undefined where it does or was not to. */
  readonly deviceNote: string | undefined;
  /** Dispatches that a new token takes on a GPU; undefined on the CPU and for other programs. */
  readonly dispatchesPerToken: number | undefined;
}

export interface TensorInfo {
  readonly name: string;
  readonly dtype: DType;
  /** Symbolic sizes as text, with their bound: `seq<=512`. */
  readonly shape: readonly (number | string)[];
}

/** The key-value cache of a program that has one. */
export interface KeyValueCache {
  /** Positions that it holds. */
  readonly length: number;
  /** Forgets all but the first `length` positions. */
  truncate(length: number): void;
  reset(): void;
  /**
   * What it holds, for `restore` on any device.
   * @throws BitnetcError `kv-none` when the program keeps no keys and values
   */
  save(): Promise<Blob>;
  /**
   * Replaces what it holds by a snapshot, of this program.
   * @throws BitnetcError `kv-none`, and `kv-snapshot` for what cannot be restored
   */
  restore(snapshot: Blob): Promise<void>;
}

/** A program that is open on a device. One thing runs at a time: calls wait for each other. */
export class Session {
  readonly #executor: Executor;
  readonly #graph: ProgramGraph;
  readonly #facts: ProgramFacts;
  readonly #model: LanguageModel | undefined;
  readonly #turns = new Turns();
  #tokenizer: Promise<Tokenizer> | undefined;
  readonly info: SessionInfo;
  readonly kv: KeyValueCache;

  constructor(executor: Executor, graph: ProgramGraph, facts: ProgramFacts, deviceNote?: string) {
    this.#executor = executor;
    this.#graph = graph;
    this.#facts = facts;
    const signature = languageModelSignature(graph);
    const capacity = facts.maxSeqLen ?? Number.POSITIVE_INFINITY;
    const model = signature && new LanguageModel(executor, signature, capacity, this.#turns);
    this.#model = model;
    this.info = {
      inputs: graph.inputs.map(({ name, value }) => tensorInfo(graph, name, value)),
      outputs: graph.outputs.map(({ name, value }) => tensorInfo(graph, name, value)),
      isLanguageModel: model !== undefined,
      maxSeqLen: model !== undefined && Number.isFinite(model.capacity) ? model.capacity : facts.maxSeqLen,
      vocabSize: signature?.vocabSize,
      bosId: facts.bosId,
      eosIds: facts.eosIds,
      hasCache: signature?.startPos !== undefined,
      hasTokenizer: facts.texts.tokenizer !== undefined,
      hasChatTemplate: facts.texts.chatTemplate !== undefined,
      sampling: facts.sampling,
      deviceNote,
      dispatchesPerToken: executor.dispatchesPerToken,
    };
    const cached = () => {
      if (model === undefined || signature?.startPos === undefined)
        throw new BitnetcError(diagnostics.kvNone());
      return model;
    };
    this.kv = {
      get length() {
        return model?.length ?? 0;
      },
      truncate: (length) => model?.truncate(length),
      reset: () => {
        model?.truncate(0);
        const work = async () => executor.reset();
        (model?.atRest(work) ?? this.#turns.take(work)).catch(() => {});
      },
      save: async () => cached().atRest((held) => saveCache(executor, graph, facts.identity, [...held])),
      restore: async (blob) => {
        const model = cached();
        const { ids, write } = await readSnapshot(blob, graph, facts.identity);
        await model.restore(ids, () => write(executor));
      },
    };
  }

  /** Where the program runs, such as `cpu`. */
  get device(): string {
    return this.#executor.device;
  }

  /**
   * Runs the program's graph once.
   * @throws BitnetcError `program-input` for everything that is wrong with the inputs, `cache-gap` when
   * `start_pos` leaves a gap in the cache
   */
  async run(inputs: Readonly<Record<string, Tensor>>): Promise<Record<string, Tensor>> {
    bindInputs(this.#graph, inputs);
    return this.#model?.run(inputs) ?? this.#turns.take(() => this.#executor.run(inputs));
  }

  /**
   * Continues a prompt, token by token. What the cache holds of the prompt is not computed again, so the
   * next turn of a conversation costs only its new tokens.
   *
   * @throws BitnetcError when the program is no language model, the prompt does not fit, or text is given
   * and the program holds no tokenizer
   */
  async *generate(prompt: Prompt, options: GenerateOptions = {}): AsyncGenerator<GeneratedToken, void> {
    const model = this.#languageModel();
    const ids = await this.encode(prompt);
    const eosIds = options.ignoreEos ? [] : this.#facts.eosIds;
    const stopIds = new Set([...eosIds, ...(options.stopIds ?? [])]);
    const stream = this.info.hasTokenizer ? (await this.tokenizer()).stream() : undefined;
    yield* generateTokens(model, ids, stopIds, stream, options);
  }

  /**
   * Measures on the GPU where the time goes while `run` uses this session; dispatches are then run one after another,
   * which is slower. In browsers each is a performance measure as well.
   * @throws BitnetcError `no-timestamps` on the CPU, and on a GPU that cannot or was not opened with `profile`
   */
  async profile(run: () => Promise<void>): Promise<readonly ProfileEntry[]> {
    const executor = this.#executor;
    const take = <T>(work: () => T) => {
      const turn = async () => work();
      return this.#model?.atRest(turn) ?? this.#turns.take(turn);
    };
    await take(() => {
      if (executor.profile === undefined) throw new BitnetcError(diagnostics.noTimestamps(executor.device));
      executor.profile(true);
    });
    try {
      await run();
      return await take(() => executor.takeProfile!());
    } finally {
      await take(() => executor.profile!(false));
    }
  }

  /** Logits [V] after each of `ids`, from an empty cache. */
  logits(ids: readonly number[], signal?: AbortSignal): AsyncGenerator<TensorData, void> {
    return this.#languageModel().each(ids, signal);
  }

  /**
   * Perplexity of token ids; `perplexityOf` states how it is measured.
   * @throws BitnetcError for ids that the vocabulary lacks, and a window that they do not fill or that does not fit
   */
  async perplexity(ids: readonly number[], options: PerplexityOptions = {}): Promise<Perplexity> {
    const { window = defaultWindow } = options;
    const model = this.#languageModel();
    model.checkIds(ids);
    if (window > model.capacity) throw new BitnetcError(diagnostics.evalWindow(window, model.capacity));
    return perplexityOf((window, signal) => this.logits(window, signal), ids, options);
  }

  /** The token ids that `generate` continues. */
  async encode(prompt: Prompt): Promise<readonly number[]> {
    if (typeof prompt === "string") return (await this.tokenizer()).encode(prompt);
    if ("ids" in prompt) return prompt.ids;
    const tokenizer = await this.tokenizer();
    const template = this.#facts.texts.chatTemplate;
    if (template === undefined) throw new BitnetcError(diagnostics.noChatTemplate());
    const text = await renderChat(template, prompt, tokenizer.specialTokens);
    return tokenizer.encode(text, { special: false });
  }

  /** @throws BitnetcError `no-tokenizer` */
  tokenizer(): Promise<Tokenizer> {
    const { tokenizer, tokenizerConfig } = this.#facts.texts;
    if (tokenizer === undefined) return Promise.reject(new BitnetcError(diagnostics.noTokenizer()));
    this.#tokenizer ??= createTokenizer(tokenizer, tokenizerConfig);
    return this.#tokenizer;
  }

  /**
   * Frees the device's memory when what is being run has ended. Whatever is asked of the session afterwards
   * throws `session-disposed`.
   */
  dispose(): void {
    this[Symbol.asyncDispose]().catch(() => {});
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#turns.close(async () => {
      try {
        await this.#model?.endAhead();
      } finally {
        this.#executor.dispose();
      }
    });
  }

  #languageModel(): LanguageModel {
    if (this.#model === undefined) throw new BitnetcError(diagnostics.notLanguageModel());
    return this.#model;
  }
}

const formatSize = (dim: Dim): number | string =>
  typeof dim === "number" ? dim : `${dimKey(dim)}<=${maxOf(dim)}`;

function tensorInfo(graph: ProgramGraph, name: string, value: number): TensorInfo {
  const { dtype, shape } = graph.values[value]!;
  return { name, dtype, shape: shape.map(formatSize) };
}
