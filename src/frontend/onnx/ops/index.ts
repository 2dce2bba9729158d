import type { ImporterTable } from "../importer.ts";
import { activationImporters } from "./activation.ts";
import { attentionImporters } from "./attention.ts";
import { Einsum } from "./einsum.ts";
import { elementwiseImporters } from "./elementwise.ts";
import { generateImporters } from "./generate.ts";
import { indexingImporters } from "./indexing.ts";
import { linearImporters } from "./linear.ts";
import { microsoftImporters } from "./microsoft.ts";
import { movementImporters } from "./movement.ts";
import { normalizationImporters } from "./normalization.ts";
import { quantizationImporters } from "./quantization.ts";
import { reductionImporters } from "./reduction.ts";
import { shapeImporters } from "./shape.ts";

const defaultImporters: ImporterTable = {
  ...activationImporters,
  ...attentionImporters,
  ...elementwiseImporters,
  ...generateImporters,
  ...indexingImporters,
  ...linearImporters,
  ...movementImporters,
  ...normalizationImporters,
  ...quantizationImporters,
  ...reductionImporters,
  ...shapeImporters,
  Einsum,
};

const domains: ReadonlyMap<string, ImporterTable> = new Map([
  ["", defaultImporters],
  ["ai.onnx", defaultImporters],
  ["com.microsoft", microsoftImporters],
]);

/** The importers of an operator domain; undefined for one that is not known. */
export const importersOf = (domain: string): ImporterTable | undefined => domains.get(domain);
