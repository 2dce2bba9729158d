import type { Decomposition } from "../decomposition.ts";
import { activation } from "./activation.ts";
import { attentionOps } from "./attention.ts";
import { elementwise } from "./elementwise.ts";
import { indexing } from "./indexing.ts";
import { movement } from "./movement.ts";
import { normalization } from "./normalization.ts";
import { padding } from "./padding.ts";
import { products } from "./products.ts";
import { reductions } from "./reduction.ts";
import { rotation } from "./rope.ts";
import { scattering } from "./scattering.ts";
import { slicing } from "./slicing.ts";

/** How each op of the graph is computed by the portable kernels; an op that is missing cannot be. */
export const decompositions: ReadonlyMap<string, Decomposition> = new Map<string, Decomposition>(
  Object.entries({
    ...elementwise,
    ...reductions,
    ...movement,
    ...slicing,
    ...padding,
    ...indexing,
    ...scattering,
    ...products,
    ...normalization,
    ...activation,
    ...rotation,
    ...attentionOps,
  }),
);
