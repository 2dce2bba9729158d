import type { Operator } from "../operator.ts";
import { arithmeticOperators } from "./arithmetic.ts";
import { arrangementOperators } from "./arrangement.ts";
import { elementwiseOperators } from "./elementwise.ts";
import { indexingOperators } from "./indexing.ts";
import { llamaOperators } from "./llama.ts";
import { movementOperators } from "./movement.ts";
import { productOperators } from "./products.ts";
import { reductionOperators } from "./reduction.ts";
import { scalarOperators } from "./scalars.ts";
import { scatterOperators } from "./scatter.ts";

/** By name and overload, as the runtime looks them up: `aten::add.out`. */
export const operators: ReadonlyMap<string, Operator> = new Map(
  Object.entries({
    ...elementwiseOperators,
    ...arithmeticOperators,
    ...reductionOperators,
    ...movementOperators,
    ...productOperators,
    ...indexingOperators,
    ...scatterOperators,
    ...arrangementOperators,
    ...scalarOperators,
    ...llamaOperators,
  }),
);
