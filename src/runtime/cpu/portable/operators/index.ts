import type { Operator } from "../operator.ts";
import { elementwiseOperators } from "./elementwise.ts";
import { indexingOperators } from "./indexing.ts";
import { llamaOperators } from "./llama.ts";
import { movementOperators } from "./movement.ts";
import { productOperators } from "./products.ts";
import { reductionOperators } from "./reduction.ts";
import { scalarOperators } from "./scalars.ts";

/** By name and overload, as the runtime looks them up: `aten::add.out`. */
export const operators: ReadonlyMap<string, Operator> = new Map(
  Object.entries({
    ...elementwiseOperators,
    ...reductionOperators,
    ...movementOperators,
    ...productOperators,
    ...indexingOperators,
    ...scalarOperators,
    ...llamaOperators,
  }),
);
