import { realpath } from "node:fs/promises";
import { dirname, extname } from "node:path";
import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import { type CompileResult, compile, type Input } from "../index.ts";
import type { OptionsInput } from "../options.ts";
import { directoryFiles } from "./directory.ts";
import { fileSink } from "./file-sink.ts";
import { fileSource, isFolder } from "./file-source.ts";

/** A model's files, and which of them were opened so far: their paths, links followed. */
export type OpenInput = Input & { readonly opened: ReadonlySet<string> };

/**
 * A model's files: an .onnx file with what lies beside it, a checkpoint's folder, or the folder of a
 * .safetensors file.
 * @throws BitnetcError `file-missing`, `file-read` or `input-kind`
 */
export async function openInput(path: string): Promise<OpenInput> {
  const opened = new Set<string>();
  if (await isFolder(path)) return { files: await directoryFiles(path, opened), opened };
  const extension = extname(path).toLowerCase();
  if (extension !== ".onnx" && extension !== ".safetensors")
    throw new BitnetcError(diagnostics.unknownInputKind(path));
  const files = await directoryFiles(dirname(path), opened);
  opened.add(await realpath(path));
  // Opened by its path: the model itself may be a link to anywhere.
  return { model: await fileSource(path), files, opened };
}

/** @throws BitnetcError `output-is-input` when a file at `path` would take the place of one of the model's */
export async function checkOutput(path: string, { opened }: OpenInput): Promise<void> {
  const there = await realpath(path).catch(() => undefined);
  if (there !== undefined && opened.has(there)) throw new BitnetcError(diagnostics.outputIsInput(path));
}

/**
 * Compiles the model at `path` to a program file. It appears at `outputPath` when it is complete; when
 * something is wrong, nothing appears, and what was there before stays.
 * @throws BitnetcError
 */
export async function compileFile(
  path: string,
  outputPath: string,
  options: OptionsInput = {},
): Promise<CompileResult> {
  const input = await openInput(path);
  const sink = await fileSink(outputPath);
  try {
    const result = await compile(input, sink, options);
    await checkOutput(outputPath, input);
    await sink.commit();
    return result;
  } finally {
    await sink.discard();
  }
}
