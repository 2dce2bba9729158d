import { extname } from "node:path";
import { openInput } from "../../node/compile-file.ts";
import { fileSource, isFolder } from "../../node/file-source.ts";
import type { CommandCall } from "../cli.ts";
import { inspectCheckpoint } from "../inspect/checkpoint.ts";
import { inspectOnnx } from "../inspect/onnx.ts";
import { inspectProgram } from "../inspect/program.ts";
import { exitCodes, printJson } from "../io.ts";

/** What an inspection found: for machines, and for people. */
export interface Inspection {
  readonly json: object;
  readonly text: string;
}

export async function run({ argument, options, io }: CommandCall<"inspect">): Promise<number> {
  const { json, text } = await inspect(argument);
  if (options.json) printJson(io, json);
  else io.out(text);
  return exitCodes.ok;
}

async function inspect(path: string): Promise<Inspection> {
  const extension = extname(path).toLowerCase();
  const isModel = extension === ".onnx" || extension === ".safetensors" || (await isFolder(path));
  if (!isModel) {
    const program = await fileSource(path);
    return await inspectProgram(program);
  }
  const input = await openInput(path);
  const { model, files } = input;
  if (model !== undefined && extension === ".onnx") return await inspectOnnx(model, files);
  return await inspectCheckpoint(files!, path);
}
