import * as z from "zod";
import * as diagnostics from "../../diagnostics.ts";
import type { Diagnostic } from "../../errors.ts";

/** How the angles of the rotary embedding are made. */
export interface RopeConfig {
  readonly theta: number;
  readonly scaling: RopeScaling;
}

type RopeScaling =
  | { readonly type: "default" }
  | { readonly type: "linear"; readonly factor: number }
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFrequencyFactor: number;
      readonly highFrequencyFactor: number;
      /** Positions the model was first trained for. */
      readonly originalPositions: number;
    };

const positive = z.number().positive().nullish();
const parameters = z.looseObject({
  rope_type: z.string().nullish(),
  /** The older name of `rope_type`. */
  type: z.string().nullish(),
  rope_theta: positive,
  factor: positive,
  low_freq_factor: positive,
  high_freq_factor: positive,
  original_max_position_embeddings: positive,
  partial_rotary_factor: positive,
});

/** The fields of config.json that concern the rotary embedding. */
export const ropeFields = {
  rope_theta: positive,
  rope_scaling: parameters.nullish(),
  /** transformers 5 keeps theta and the scaling here. */
  rope_parameters: parameters.nullish(),
};

interface RopeFields {
  readonly rope_theta?: number | null | undefined;
  readonly rope_scaling?: z.output<typeof parameters> | null | undefined;
  readonly rope_parameters?: z.output<typeof parameters> | null | undefined;
  readonly max_position_embeddings: number;
}

/** @returns undefined, and an entry in `faults`, for scalings that are not supported or lack a field */
export function resolveRope(
  config: RopeFields,
  defaultTheta: number,
  fileName: string,
  faults: Diagnostic[],
): RopeConfig | undefined {
  const field = config.rope_parameters ? "rope_parameters" : "rope_scaling";
  const given = config.rope_parameters ?? config.rope_scaling;
  const theta = given?.rope_theta ?? config.rope_theta ?? defaultTheta;
  const missing = (name: string): undefined => {
    faults.push(diagnostics.jsonField(fileName, `${field}.${name}`, "this kind of scaling needs it"));
  };
  if (given == null) return { theta, scaling: { type: "default" } };
  if (
    Object.values(given).some((value) => typeof value === "object" && value !== null && !Array.isArray(value))
  ) {
    faults.push(diagnostics.checkpointField(field, "it differs from layer to layer"));
    return undefined;
  }
  if ((given.partial_rotary_factor ?? 1) !== 1) {
    faults.push(
      diagnostics.checkpointField(`${field}.partial_rotary_factor`, "only whole heads are rotated"),
    );
    return undefined;
  }
  const type = given.rope_type ?? given.type ?? "default";
  switch (type) {
    case "default":
      return { theta, scaling: { type } };
    case "linear":
      return given.factor ? { theta, scaling: { type, factor: given.factor } } : missing("factor");
    case "llama3": {
      const { factor, low_freq_factor: low, high_freq_factor: high } = given;
      const originalPositions = given.original_max_position_embeddings ?? config.max_position_embeddings;
      if (!factor) return missing("factor");
      if (!low) return missing("low_freq_factor");
      if (!high) return missing("high_freq_factor");
      const scaling = {
        type,
        factor,
        lowFrequencyFactor: low,
        highFrequencyFactor: high,
        originalPositions,
      } as const;
      return { theta, scaling };
    }
    default:
      faults.push(
        diagnostics.checkpointField(`${field}.rope_type`, `"${type}" is not one of default, linear, llama3`),
      );
      return undefined;
  }
}
