import * as diagnostics from "../../diagnostics.ts";
import type { Diagnostic } from "../../errors.ts";
import type { Activations } from "../../ir/ops/signatures.ts";
import {
  absmeanCodes,
  absmeanScale,
  analyseTernary,
  hfPackedCodes,
  ternaryCodes,
  ternaryScale,
} from "../../ir/ternary.ts";
import { inlineWeight, scaleWeight, type WeightRef } from "../../ir/weights.ts";
import { isFloat } from "../../tensor/dtype.ts";
import { tensor } from "../../tensor/tensor.ts";
import { type DecoderConfig, isExcluded, type QuantizationConfig } from "./config.ts";
import type { StoredTensor } from "./safetensors.ts";
import { type CheckpointTensors, placeholder, sameSizes, storedWeight } from "./tensors.ts";

/** A linear layer's constants, as the graph takes them. */
export interface LinearWeights {
  /** The module's name, `model.layers.0.self_attn.q_proj`. */
  readonly name: string;
  /** f32 [N, K], or the i8 codes of a ternary weight. */
  readonly weight: WeightRef;
  /** Given where `weight` holds codes. */
  readonly ternary?: TernaryForm;
  /** f32 [N] */
  readonly bias?: WeightRef;
  /** A norm over the layer's input: scale f32 [K]. */
  readonly inputNorm?: { readonly scale: WeightRef; readonly eps: number };
}

interface TernaryForm {
  /** f32 [1], [N] or [N, K / group] */
  readonly scale: WeightRef;
  readonly group: number;
  readonly activations: Activations;
}

interface LinearShape {
  readonly name: string;
  /** N */
  readonly outputs: number;
  /** K */
  readonly inputs: number;
  readonly hasBias: boolean;
}

interface Stored {
  readonly weight: WeightRef;
  readonly ternary?: TernaryForm;
  /** What the layer multiplies its bias with. */
  readonly biasFactor?: number;
}

/** Names of the norm over a quantised linear's input, transformers' first. */
const inputNormNames = ["rms_norm.weight", "norm.weight"] as const;

/** Reads the linears of a checkpoint, in whichever way their weights are stored. */
export class LinearReader {
  readonly #tensors: CheckpointTensors;
  readonly #config: DecoderConfig;
  readonly #activations: Activations | undefined;
  readonly #warn: (warning: Diagnostic) => void;

  /** @param activations what the user asks for in place of what the model does */
  constructor(
    tensors: CheckpointTensors,
    config: DecoderConfig,
    activations: Activations | undefined,
    warn: (warning: Diagnostic) => void,
  ) {
    this.#tensors = tensors;
    this.#config = config;
    this.#activations = activations;
    this.#warn = warn;
  }

  /** A projection of a layer. Where something is wrong, that is noted and placeholders come back. */
  projection(shape: LinearShape): Promise<LinearWeights> {
    const { quantization } = this.#config;
    return this.#read(
      shape,
      quantization && !isExcluded(quantization, shape.name) ? quantization : undefined,
    );
  }

  /** The output head. It is quantised only where the file has what a quantised linear needs. */
  head(shape: LinearShape): Promise<LinearWeights> {
    const isQuantised = ["weight_scale", ...inputNormNames].some((part) =>
      this.#tensors.has(`${shape.name}.${part}`),
    );
    return this.#read(shape, isQuantised ? this.#config.quantization : undefined);
  }

  async #read(shape: LinearShape, quantization: QuantizationConfig | undefined): Promise<LinearWeights> {
    const { name, outputs, inputs, hasBias } = shape;
    const { weight, ternary, biasFactor = 1 } = await this.#weight(shape, quantization);
    const bias = hasBias ? await this.#tensors.float(`${name}.bias`, [outputs]) : undefined;
    const eps = quantization?.inputNormEps;
    const normName = inputNormNames.find((part) => this.#tensors.has(`${name}.${part}`)) ?? inputNormNames[0];
    return {
      name,
      weight,
      ...(ternary && { ternary }),
      ...(bias && { bias: scaleWeight(bias, biasFactor) }),
      ...(eps !== undefined && {
        inputNorm: { scale: await this.#tensors.float(`${name}.${normName}`, [inputs]), eps },
      }),
    };
  }

  async #weight(shape: LinearShape, quantization: QuantizationConfig | undefined): Promise<Stored> {
    const name = `${shape.name}.weight`;
    const sizes = [shape.outputs, shape.inputs];
    const stored = this.#tensors.take(name);
    if (stored === undefined) {
      this.#tensors.faults.push(diagnostics.tensorMissing(name, sizes));
      return { weight: placeholder(sizes) };
    }
    if (isPacked(stored, shape))
      return this.#packed(stored, shape, quantization ?? this.#config.quantization);
    const before = this.#tensors.faults.length;
    const dense = await this.#tensors.floatOf(stored, sizes);
    if (this.#tensors.faults.length > before) return { weight: dense };
    if (quantization === undefined) return this.#byValues(name, dense);
    return quantization.mode === "online" ? this.#master(dense) : this.#offline(dense, shape, quantization);
  }

  async #packed(
    stored: StoredTensor,
    { name, outputs, inputs }: LinearShape,
    quantization: QuantizationConfig | undefined,
  ): Promise<Stored> {
    const { faults } = this.#tensors;
    const sizes = [Math.ceil(outputs / 4), inputs];
    const fits = sameSizes(stored.shape, sizes);
    if (!fits)
      faults.push(
        diagnostics.tensorShape(stored.name, stored.file, stored.shape, [sizes, [outputs, inputs]]),
      );
    if (quantization === undefined) faults.push(diagnostics.packedWithoutConfig(stored.name));
    const factor = await this.#weightScale(name);
    if (!fits || quantization === undefined) return { weight: placeholder([outputs, inputs]) };
    return {
      weight: hfPackedCodes(await storedWeight(stored), outputs),
      ternary: this.#ternary(inlineWeight(tensor("f32", [1], [direct(factor, quantization)]))),
      biasFactor: biasFactor(factor, quantization),
    };
  }

  #master(dense: WeightRef): Stored {
    return { weight: absmeanCodes(dense), ternary: this.#ternary(absmeanScale(dense)) };
  }

  /** Floats where the config says that weights are ternary already: their own scale, times that beside them. */
  async #offline(dense: WeightRef, { name }: LinearShape, quantization: QuantizationConfig): Promise<Stored> {
    const facts = await analyseTernary(dense);
    const factor = this.#tensors.has(`${name}.weight_scale`) ? await this.#weightScale(name) : 1;
    if ("miss" in facts) {
      this.#tensors.faults.push(diagnostics.weightNotTernary(`${name}.weight`, facts.miss));
      return { weight: dense };
    }
    return {
      weight: ternaryCodes(dense),
      ternary: this.#ternary(
        scaleWeight(ternaryScale(dense, facts), direct(factor, quantization)),
        facts.group,
      ),
      biasFactor: biasFactor(factor, quantization),
    };
  }

  /** Floats that no config says anything about: ternary if their values are. */
  async #byValues(name: string, dense: WeightRef): Promise<Stored> {
    const facts = await analyseTernary(dense);
    if ("miss" in facts) return { weight: dense };
    if (facts.zeros === 1) this.#warn(diagnostics.weightAllZero(name));
    return {
      weight: ternaryCodes(dense),
      ternary: this.#ternary(ternaryScale(dense, facts), facts.group, this.#config.activations),
    };
  }

  /** The `weight_scale` beside a weight: a single positive number. */
  async #weightScale(module: string): Promise<number> {
    const { faults } = this.#tensors;
    const name = `${module}.weight_scale`;
    const isScalar = this.#tensors.take(name)?.shape.length === 0;
    const before = faults.length;
    const value = (await this.#tensors.float(name, isScalar ? [] : [1])).inline?.data[0] ?? Number.NaN;
    if (faults.length > before) return 1;
    if (value > 0 && Number.isFinite(value)) return value;
    faults.push(diagnostics.weightScale(name, value));
    return 1;
  }

  #ternary(scale: WeightRef, group = 0, activations: Activations = "int8-per-token"): TernaryForm {
    return { scale, group, activations: this.#activations ?? activations };
  }
}

/** transformers tells packed weights by their shape, whatever their dtype. */
const isPacked = ({ dtype, shape }: StoredTensor, { outputs, inputs }: LinearShape): boolean =>
  dtype === "u8" || (isFloat(dtype) && outputs % 4 === 0 && sameSizes(shape, [outputs / 4, inputs]));

/** `weight_scale` as a factor: bitlinear stores a divisor. */
const direct = (weightScale: number, { linearClass }: QuantizationConfig): number =>
  linearClass === "autobitlinear" ? weightScale : Math.fround(1 / weightScale);

/** transformers' AutoBitLinear adds the bias before it multiplies with `weight_scale`; its BitLinear, after. */
const biasFactor = (weightScale: number, { linearClass }: QuantizationConfig): number =>
  linearClass === "autobitlinear" ? weightScale : 1;
