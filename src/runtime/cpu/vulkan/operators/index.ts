import type { Operator } from "../operator.ts";
import { attentionOperators } from "./attention.ts";
import { elementwiseOperators } from "./elementwise.ts";
import { indexingOperators } from "./indexing.ts";
import { movementOperators } from "./movement.ts";
import { normalizationOperators } from "./normalization.ts";
import { productOperators } from "./products.ts";
import { reductionOperators } from "./reduction.ts";
import { rotaryOperators } from "./rotary.ts";
import { sizeOperators } from "./sizes.ts";

/** By the names that graphs call them. */
export const operators: ReadonlyMap<string, Operator> = new Map(
  Object.entries({
    ...elementwiseOperators,
    ...reductionOperators,
    ...normalizationOperators,
    ...movementOperators,
    ...productOperators,
    ...indexingOperators,
    ...attentionOperators,
    ...rotaryOperators,
    ...sizeOperators,
  }),
);
