import * as z from "zod";
import * as diagnostics from "../../diagnostics.ts";
import type { Diagnostic } from "../../errors.ts";
import type { Activations } from "../../ir/ops/signatures.ts";
import { mostPositions } from "../../options.ts";
import type { FileSet } from "../../tensor/source.ts";
import { readJson } from "../json-file.ts";
import { type Architecture, architectureOfModelType, architectures } from "./architectures.ts";
import { type RopeConfig, resolveRope, ropeFields } from "./rope-config.ts";
import { unsupportedFields } from "./unsupported-fields.ts";

/** The bitnet `quantization_config`. */
export interface QuantizationConfig {
  /** Says whether `weight_scale` is a factor (autobitlinear) or a divisor (bitlinear). */
  readonly linearClass: "bitlinear" | "autobitlinear";
  /** online: the file holds master weights. offline: it holds ternary ones. */
  readonly mode: "offline" | "online";
  /** Modules that stay as they are. */
  readonly excluded: readonly string[];
  /** Each quantised linear normalises its input first, with this epsilon. */
  readonly inputNormEps?: number;
}

/** config.json with every default filled in. */
export interface DecoderConfig {
  readonly architecture: Architecture;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  /** Divides `heads`. */
  readonly keyValueHeads: number;
  readonly headDim: number;
  readonly maxPositions: number;
  readonly normEps: number;
  readonly activation: HiddenActivation;
  readonly hasAttentionBias: boolean;
  readonly hasMlpBias: boolean;
  /** Undefined where config.json does not say. */
  readonly isTied: boolean | undefined;
  readonly rope: RopeConfig;
  readonly quantization: QuantizationConfig | undefined;
  /** Activations of linears that are ternary by their values alone: those that `quantization` leaves out take floats. */
  readonly activations: Activations;
}

const hiddenActivations = ["silu", "relu2", "gelu", "gelu_tanh"] as const;
export type HiddenActivation = (typeof hiddenActivations)[number];
/** Other names of the same functions in transformers. */
const activationAliases: Readonly<Record<string, HiddenActivation>> = {
  swish: "silu",
  gelu_new: "gelu_tanh",
  gelu_pytorch_tanh: "gelu_tanh",
};

const size = z.int().positive();
const quantizationSchema = z.looseObject({
  quant_method: z.literal("bitnet"),
  linear_class: z.enum(["bitlinear", "autobitlinear"]).nullish(),
  quantization_mode: z.enum(["offline", "online"]).nullish(),
  modules_to_not_convert: z.array(z.string()).nullish(),
  use_rms_norm: z.boolean().nullish(),
  rms_norm_eps: z.number().positive().nullish(),
});

const configSchema = z.looseObject({
  architectures: z.array(z.string()).nullish(),
  model_type: z.string().nullish(),
  vocab_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  max_position_embeddings: size.max(mostPositions),
  rms_norm_eps: z.number().positive().nullish(),
  hidden_act: z
    .preprocess(
      (name) =>
        typeof name === "string" && Object.hasOwn(activationAliases, name) ? activationAliases[name] : name,
      z.enum(hiddenActivations),
    )
    .nullish(),
  attention_bias: z.boolean().nullish(),
  mlp_bias: z.boolean().nullish(),
  tie_word_embeddings: z.boolean().nullish(),
  weight_bits: z.number().nullish(),
  input_bits: z.number().nullish(),
  quantization_config: quantizationSchema.nullish(),
  ...ropeFields,
});
type ConfigFile = z.output<typeof configSchema>;

const fileName = "config.json";

/**
 * Reads config.json in any of its dialects.
 * @param faults grows by one entry for each field that is wrong, or asks for what is not supported
 * @returns undefined where there was a fault
 */
export async function readConfig(files: FileSet, faults: Diagnostic[]): Promise<DecoderConfig | undefined> {
  const before = faults.length;
  if ((await files.open(fileName)) === undefined) {
    faults.push(diagnostics.checkpointConfigMissing(files.name));
    return undefined;
  }
  const file = await readJson(files, fileName, configSchema, faults);
  if (file === undefined) return undefined;
  const wrong = (field: string, detail: string): void =>
    void faults.push(diagnostics.jsonField(fileName, field, detail));

  const architecture = architectureOf(file, faults);
  if (architecture === undefined) return undefined;
  faults.push(...unsupportedFields(file, architecture));

  const heads = file.num_attention_heads;
  const keyValueHeads = file.num_key_value_heads ?? heads;
  if (heads % keyValueHeads !== 0)
    wrong("num_key_value_heads", `${keyValueHeads} does not divide the ${heads} heads`);
  const headDim = file.head_dim ?? architecture.defaults.headDim ?? file.hidden_size / heads;
  if (!Number.isInteger(headDim))
    wrong("num_attention_heads", `${heads} does not divide hidden_size ${file.hidden_size}`);
  else if (headDim % 2 !== 0) wrong("head_dim", `a rotation needs pairs, and ${headDim} is odd`);
  const rope = resolveRope(file, architecture.defaults.ropeTheta, fileName, faults);
  if (rope === undefined || faults.length > before) return undefined;

  const quantization = file.quantization_config
    ? quantizationOf(file.quantization_config)
    : architecture.impliedQuantization;
  return {
    architecture,
    vocabSize: file.vocab_size,
    hiddenSize: file.hidden_size,
    intermediateSize: file.intermediate_size,
    layers: file.num_hidden_layers,
    heads,
    keyValueHeads,
    headDim,
    maxPositions: file.max_position_embeddings,
    normEps: file.rms_norm_eps ?? architecture.defaults.normEps,
    activation: file.hidden_act ?? architecture.defaults.activation,
    hasAttentionBias: file.attention_bias ?? false,
    hasMlpBias: file.mlp_bias ?? false,
    isTied: file.tie_word_embeddings ?? undefined,
    rope,
    quantization,
    activations: quantization === undefined && file.input_bits === 8 ? "int8-per-token" : "float",
  };
}

function architectureOf(file: ConfigFile, faults: Diagnostic[]): Architecture | undefined {
  const named = file.architectures?.length ? file.architectures : undefined;
  const type = file.model_type ?? "";
  const fromType = Object.hasOwn(architectureOfModelType, type) ? architectureOfModelType[type] : undefined;
  const names = named ?? (fromType === undefined ? [] : [fromType]);
  const found = architectures.find(({ name }) => names.includes(name));
  if (found === undefined) {
    const given = named?.join(", ") ?? (type === "" ? "nothing" : `model_type ${type}`);
    faults.push(
      diagnostics.checkpointArchitecture(
        given,
        architectures.map(({ name }) => name),
      ),
    );
  }
  return found;
}

const quantizationOf = (file: z.output<typeof quantizationSchema>): QuantizationConfig => ({
  linearClass: file.linear_class ?? "bitlinear",
  mode: file.quantization_mode ?? "offline",
  excluded: file.modules_to_not_convert ?? [],
  ...(file.use_rms_norm ? { inputNormEps: file.rms_norm_eps ?? 1e-6 } : {}),
});

/** Whether modules_to_not_convert names the module, one of its parents, or its last components. */
export const isExcluded = (config: QuantizationConfig, module: string): boolean =>
  config.excluded.some((name) => `.${module}.`.includes(`.${name}.`));
