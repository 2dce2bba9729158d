import * as z from "zod";
import * as diagnostics from "./diagnostics.ts";
import { BitnetcError } from "./errors.ts";
import type { Plugin } from "./plugin.ts";
import type { Tensor } from "./tensor/tensor.ts";

/** Up to here positions are exact in f32, and tables of them are of a size that can be computed. */
export const mostPositions = 2 ** 24;

/** Options of a compilation, as a user gives them; every one has a default. */
export const optionsSchema = z.strictObject({
  /** Who runs the program: bitnetc's own delegate, or the portable kernels of any ExecuTorch runtime. */
  backend: z.enum(["webgpu", "portable"]).default("webgpu"),
  /**
   * Libraries of custom kernels that a portable program may call; `llama` is ExecuTorch's extension for language
   * models, whose attention over caches is one call.
   */
  customOps: z.enum(["none", "llama"]).default("none"),
  /** Storage of ternary weights; portable kernels take int8 and nothing smaller. */
  weights: z.enum(["tq2_0", "tq1_0"]).default("tq2_0"),
  /** What `bitnet.linear` does to its input; left out, what the model itself does. */
  activations: z.enum(["int8-per-token", "float"]).optional(),
  /**
   * Storage of the embedding and the head; `auto` is the smallest float type that holds every value exactly, `q8`
   * int8 with one f32 scale a row.
   */
  embedding: z.enum(["auto", "f16", "bf16", "f32", "q8"]).default("auto"),
  /** Positions that the program has room for; left out, what the model was made for. */
  maxSeqLen: z.int().positive().max(mostPositions).optional(),
  /** Logits of the last position only, or of all. */
  logits: z.enum(["last", "all"]).default("last"),
});

export type Options = Readonly<z.output<typeof optionsSchema>>;

export type OptionsInput = z.input<typeof optionsSchema> & {
  readonly plugins?: readonly Plugin[] | undefined;
  /** Values of ONNX inputs that are to be constants of the program, by name. */
  readonly constants?: Readonly<Record<string, Tensor>> | undefined;
};

/** @throws BitnetcError naming every option that is not right */
export function parseOptions(input: z.input<typeof optionsSchema>): Options {
  const result = optionsSchema.safeParse(input);
  if (result.success) {
    const { backend, customOps } = result.data;
    if (customOps !== "none" && backend !== "portable")
      throw new BitnetcError(diagnostics.option("customOps", "it goes with the backend portable"));
    return result.data;
  }
  throw new BitnetcError(
    result.error.issues.map((issue) => diagnostics.option(issue.path.join("."), issue.message)),
  );
}
