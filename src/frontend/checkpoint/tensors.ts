import * as diagnostics from "../../diagnostics.ts";
import type { Diagnostic } from "../../errors.ts";
import { castWeight, fileWeight, type WeightRef } from "../../ir/weights.ts";
import { isFloat } from "../../tensor/dtype.ts";
import type { StoredTensor } from "./safetensors.ts";

/**
 * The tensors of a checkpoint, and which of them the model took. Missing and misshaped ones are noted in
 * `faults`, so that all of them can be reported together.
 */
export class CheckpointTensors {
  readonly #tensors: ReadonlyMap<string, StoredTensor>;
  readonly #taken = new Set<string>();
  /** What comes before `layers.0` and `embed_tokens`; "" in files saved from the decoder alone. */
  readonly prefix: string;
  readonly faults: Diagnostic[];

  constructor(tensors: ReadonlyMap<string, StoredTensor>, faults: Diagnostic[]) {
    this.#tensors = tensors;
    this.faults = faults;
    const isBare = !tensors.has("model.embed_tokens.weight") && tensors.has("embed_tokens.weight");
    this.prefix = isBare ? "" : "model.";
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** The tensor as it is stored; it counts as taken. */
  take(name: string): StoredTensor | undefined {
    this.#taken.add(name);
    return this.#tensors.get(name);
  }

  /** A float tensor of this shape, as f32; where there is none, a fault and a placeholder. */
  async float(name: string, shape: readonly number[]): Promise<WeightRef> {
    const stored = this.take(name);
    if (stored !== undefined) return this.floatOf(stored, shape);
    this.faults.push(diagnostics.tensorMissing(name, shape));
    return placeholder(shape);
  }

  /** The same for a tensor at hand. */
  async floatOf(stored: StoredTensor, shape: readonly number[]): Promise<WeightRef> {
    const { name, file, dtype } = stored;
    if (!sameSizes(stored.shape, shape))
      this.faults.push(diagnostics.tensorShape(name, file, stored.shape, [shape]));
    else if (!isFloat(dtype)) this.faults.push(diagnostics.tensorDType(name, file, dtype, "floats"));
    else return castWeight(await storedWeight(stored), "f32");
    return placeholder(shape);
  }

  /** Notes the tensors that nothing took: a fault where the model would lack a part of itself, else a warning. */
  reportUnused(warn: (warning: Diagnostic) => void): void {
    for (const { name, file } of this.#tensors.values()) {
      if (this.#taken.has(name) || isBuffer(name)) continue;
      if (this.#isPartOfDecoder(name)) this.faults.push(diagnostics.tensorUnknown(name, file));
      else warn(diagnostics.tensorIgnored(name, file));
    }
  }

  #isPartOfDecoder(name: string): boolean {
    const parts = this.prefix === "" ? ["layers.", "embed_tokens.", "norm."] : [this.prefix];
    return [...parts, "lm_head."].some((part) => name.startsWith(part));
  }
}

/** Tables that older versions of transformers saved and any can compute. */
const isBuffer = (name: string): boolean =>
  /\.rotary_emb\.(inv_freq|cos_cached|sin_cached)$|\.self_attn\.(masked_bias|bias)$/.test(name);

/** Stands for a tensor that is missing or wrong, until the faults are reported. */
export const placeholder = (shape: readonly number[]): WeightRef => ({
  id: "missing",
  dtype: "f32",
  shape,
  rows: () => Promise.reject(new Error("a missing tensor cannot be read")),
});

export const storedWeight = (stored: StoredTensor): Promise<WeightRef> =>
  fileWeight(stored.bytes, stored.dtype, stored.shape);

export const sameSizes = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((size, i) => size === b[i]);
