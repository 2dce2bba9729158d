import type { Graph } from "../ir/graph.ts";

/** The fields of tokenizer_config.json that text needs at run time, under their names there. */
interface TokenizerConfig {
  /** Text of the tokens that a chat template refers to. */
  readonly bos_token?: string;
  readonly eos_token?: string;
  /** Whether the begin-of-sequence token goes before every text, where tokenizer.json does not say. */
  readonly add_bos_token?: boolean;
  readonly clean_up_tokenization_spaces?: boolean;
}

/** What a frontend knows of a model beside its graph. */
export interface ModelInfo {
  readonly frontend: "onnx" | "checkpoint" | (string & {});
  /** Positions the model was made for (`max_position_embeddings`). */
  readonly maxPositions?: number;
  readonly bosId?: number;
  /** Generation ends after any of these. */
  readonly eosIds: readonly number[];
  readonly vocabSize?: number;
  readonly layers?: number;
  /** The bytes of tokenizer.json. */
  readonly tokenizer?: Uint8Array;
  /** Jinja source. */
  readonly chatTemplate?: string;
  readonly tokenizerConfig?: TokenizerConfig;
  /** Sampling the model's authors recommend. */
  readonly sampling?: { readonly temperature?: number; readonly topK?: number; readonly topP?: number };
}

/** What a frontend makes of a model's files. */
export interface ImportedModel {
  readonly graph: Graph;
  readonly info: ModelInfo;
}
