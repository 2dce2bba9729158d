import { arithmeticLowerings } from "./arithmetic-ops.ts";
import { attention } from "./attention.ts";
import { cacheUpdate, rope, scaledDotProduct } from "./attention-ops.ts";
import { embedding, linear } from "./dense.ts";
import type { Lowering } from "./group.ts";
import { reshape, rowSlice } from "./movement.ts";
import { movementLowerings } from "./movement-ops.ts";
import { rmsNorm } from "./normalization.ts";
import { gatedProjection, joinedProjection, projection } from "./projection.ts";

/** Every way to compute nodes on the GPU. Those that compute more at once come first. */
export const lowerings: readonly Lowering[] = [
  attention,
  gatedProjection,
  joinedProjection,
  projection,
  embedding,
  linear,
  rope,
  cacheUpdate,
  scaledDotProduct,
  rmsNorm,
  rowSlice,
  reshape,
  ...arithmeticLowerings,
  ...movementLowerings,
];
