import * as diagnostics from "../diagnostics.ts";
import { BitnetcError, type Diagnostic } from "../errors.ts";
import type { OpRegistry } from "../ir/ops/index.ts";
import type { Activations } from "../ir/ops/signatures.ts";
import type { FileSet, Source } from "../tensor/source.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { importCheckpoint } from "./checkpoint/import.ts";
import type { ImportedModel } from "./model.ts";
import type { Importer } from "./onnx/importer.ts";
import { importOnnx } from "./onnx/load.ts";

/** A model's files: one ONNX file, with the files beside it if there are any, or a checkpoint's folder. */
export type Input =
  | { readonly model: Source; readonly files?: FileSet | undefined }
  | { readonly model?: undefined; readonly files: FileSet };

interface ImportOptions {
  readonly ops: OpRegistry;
  readonly importers: ReadonlyMap<string, Importer>;
  readonly maxSeqLen: number | undefined;
  readonly activations: Activations | undefined;
  readonly constants: Readonly<Record<string, Tensor>> | undefined;
  readonly warn: (warning: Diagnostic) => void;
}

/** Imports a model with the frontend that its files call for. @throws BitnetcError */
export async function importModel(input: Input, options: ImportOptions): Promise<ImportedModel> {
  const { ops, importers, maxSeqLen, activations, constants, warn } = options;
  if (input.model !== undefined && !/\.safetensors$/i.test(input.model.name))
    return importOnnx(input.model, input.files, ops, { importers, warn, ...(constants && { constants }) });
  if (input.files === undefined)
    throw new BitnetcError(diagnostics.unknownInputKind(input.model?.name ?? ""));
  return importCheckpoint(input.files, ops, {
    warn,
    ...(maxSeqLen !== undefined && { maxSeqLen }),
    ...(activations !== undefined && { activations }),
    ...(input.model !== undefined && { weights: baseName(input.model.name) }),
  });
}

const baseName = (path: string): string =>
  path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
