import { extname } from "node:path";
import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError, type Diagnostic } from "../../errors.ts";
import { openInput } from "../../node/compile-file.ts";
import { fileSource, isFolder } from "../../node/file-source.ts";
import type { CommandCall } from "../cli.ts";
import { inspectCheckpoint } from "../inspect/checkpoint.ts";
import { diffPrograms } from "../inspect/diff.ts";
import { inspectOnnx } from "../inspect/onnx.ts";
import { inspectProgram } from "../inspect/program.ts";
import { exitCodes, printWarnings } from "../io.ts";
import { jsonText } from "../json-text.ts";

/** What an inspection found: for machines, and for people. */
export interface Inspection {
  readonly json: () => object;
  readonly text: () => string;
  /** What could not be read, though the rest could. */
  readonly warnings?: readonly Diagnostic[];
}

export async function run({ argument, options, io }: CommandCall<"inspect">): Promise<number> {
  const { diff, verbose } = options;
  const { json, text, warnings } = await (diff === undefined
    ? inspect(argument, verbose)
    : compare(argument, diff, verbose));
  if (options.json) io.out(`${jsonText(json())}\n`);
  else {
    io.out(text());
    printWarnings(io, warnings ?? []);
  }
  return exitCodes.ok;
}

async function inspect(path: string, showsAll: boolean): Promise<Inspection> {
  if (!(await isModel(path))) return await inspectProgram(await fileSource(path), showsAll);
  const { model, files } = await openInput(path);
  if (model !== undefined && extensionOf(path) === ".onnx") return await inspectOnnx(model, files);
  return await inspectCheckpoint(files!, path);
}

async function compare(before: string, after: string, showsAll: boolean): Promise<Inspection> {
  for (const path of [before, after])
    if (await isModel(path))
      throw new BitnetcError(diagnostics.usage(`--diff compares two programs, and ${path} is none.`));
  return await diffPrograms(await fileSource(before), await fileSource(after), showsAll);
}

const extensionOf = (path: string): string => extname(path).toLowerCase();

/** A model's file or folder; anything else must be a program. */
const isModel = async (path: string): Promise<boolean> =>
  [".onnx", ".safetensors"].includes(extensionOf(path)) || (await isFolder(path));
