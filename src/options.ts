import * as z from "zod";
import type { Backend } from "./backends/backend.ts";
import { backends } from "./backends/index.ts";
import * as diagnostics from "./diagnostics.ts";
import { BitnetcError } from "./errors.ts";
import type { Plugin } from "./plugin.ts";
import type { Tensor } from "./tensor/tensor.ts";

/** Up to here positions are exact in f32, and tables of them are of a size that can be computed. */
export const mostPositions = 2 ** 24;

/** Options of a compilation, as a user gives them; every one has a default. */
export const optionsSchema = z.strictObject({
  /**
   * Who runs the program: bitnetc's own delegate, the GPU backends of an ExecuTorch runtime, or its portable kernels.
   */
  backend: z.enum(["webgpu", "vulkan", "portable"]).default("webgpu"),
  /**
   * Libraries of custom kernels that a portable program may call; `llama` is ExecuTorch's extension for language
   * models, whose attention over caches is one call.
   */
  customOps: z.enum(["none", "llama"]).default("none"),
  /** Storage of ternary weights; vulkan has four bits for each, and portable kernels take int8 and nothing smaller. */
  weights: z.enum(["tq2_0", "tq1_0"]).default("tq2_0"),
  /** What `bitnet.linear` does to its input; left out, what the model itself does. */
  activations: z.enum(["int8-per-token", "float"]).optional(),
  /**
   * Storage of the embedding and the head; `auto` is the smallest float type that holds every value exactly, or f32
   * for vulkan, which has no other; `q8` int8 with one f32 scale a row; `q4`, for vulkan, four bits with one f32 scale
   * for every 32.
   */
  embedding: z.enum(["auto", "f16", "bf16", "f32", "q8", "q4"]).default("auto"),
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

interface Unsuitable {
  readonly option: "embedding" | "customOps";
  readonly value: string;
  /** Those that have it. */
  readonly backends: readonly string[];
}

/** Options whose values the backend does not have. */
export function unsuitable(options: Partial<Options>): readonly Unsuitable[] {
  const { backend: name = "webgpu", embedding = "auto", customOps = "none" } = options;
  const has: Readonly<Record<Unsuitable["option"], (backend: Backend) => boolean>> = {
    embedding: (backend) => backend.embeddings.includes(embedding),
    customOps: (backend) => backend.customOps.includes(customOps),
  };
  return Object.entries({ embedding, customOps }).flatMap(([key, value]) => {
    const option = key as Unsuitable["option"];
    if (has[option](backends[name])) return [];
    const others = Object.entries(backends).filter(([, backend]) => has[option](backend));
    return [{ option, value, backends: others.map(([other]) => other) }];
  });
}

/** @throws BitnetcError naming every option that is not right */
export function parseOptions(input: z.input<typeof optionsSchema>): Options {
  const result = optionsSchema.safeParse(input);
  if (result.success) {
    const faults = unsuitable(result.data);
    if (faults.length > 0)
      throw new BitnetcError(
        faults.map(({ option, value, backends }) =>
          diagnostics.option(option, `${value} goes with the backend ${backends.join(" or ")}`),
        ),
      );
    return result.data;
  }
  throw new BitnetcError(
    result.error.issues.map((issue) => diagnostics.option(issue.path.join("."), issue.message)),
  );
}
