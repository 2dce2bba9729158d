import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError, type Diagnostic } from "../../errors.ts";
import type { OpRegistry } from "../../ir/ops/index.ts";
import type { Activations } from "../../ir/ops/signatures.ts";
import type { FileSet } from "../../tensor/source.ts";
import type { ImportedModel } from "../model.ts";
import { readTextFiles } from "../text-files.ts";
import { buildDecoder } from "./build.ts";
import { readConfig } from "./config.ts";
import { readDecoderWeights } from "./decoder-weights.ts";
import { LinearReader } from "./linear.ts";
import { CheckpointTensors } from "./tensors.ts";
import { readWeightFiles } from "./weight-files.ts";

export interface CheckpointOptions {
  /** Positions of the KV cache; by default what the model was made for. */
  readonly maxSeqLen?: number;
  /** Activations of the ternary linears; by default what the model itself does. */
  readonly activations?: Activations;
  /** The .safetensors file to read, where the set has several. */
  readonly weights?: string;
  /** Hears of what is odd and does no harm. */
  readonly warn?: (warning: Diagnostic) => void;
}

/**
 * Makes the graph of a Hugging Face checkpoint from its config.json, in its final form: fused ops, KV cache in
 * states, `tokens` i64 [1, S] and `start_pos` i64 [1] to `logits` f32 [1, S, V]. No weight is held in memory.
 * @throws BitnetcError listing everything that is wrong with the files
 */
export async function importCheckpoint(
  files: FileSet,
  ops: OpRegistry,
  options: CheckpointOptions = {},
): Promise<ImportedModel> {
  const { warn = () => {} } = options;
  const faults: Diagnostic[] = [];
  const config = await readConfig(files, faults);
  const stored = await readWeightFiles(files, options.weights, faults);
  const text = await readTextFiles(files, warn).catch((error: unknown) => {
    if (!(error instanceof BitnetcError)) throw error;
    faults.push(
      ...error.diagnostics.filter((fault) => !faults.some((known) => known.message === fault.message)),
    );
    return {};
  });
  if (config === undefined || faults.length > 0) throw new BitnetcError(faults);

  const tensors = new CheckpointTensors(stored, faults);
  const linears = new LinearReader(tensors, config, options.activations, warn);
  const weights = await readDecoderWeights(tensors, config, linears, warn);
  tensors.reportUnused(warn);
  if (faults.length > 0) throw new BitnetcError(faults);

  const capacity = options.maxSeqLen ?? config.maxPositions;
  if (capacity > config.maxPositions) warn(diagnostics.beyondTraining(capacity, config.maxPositions));
  return {
    graph: buildDecoder(ops, config, weights, capacity),
    info: {
      eosIds: [],
      ...text,
      frontend: "checkpoint",
      maxPositions: config.maxPositions,
      vocabSize: config.vocabSize,
      layers: config.layers,
    },
  };
}
