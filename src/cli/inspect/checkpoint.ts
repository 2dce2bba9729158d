import * as z from "zod";
import { BitnetcError, type Diagnostic } from "../../errors.ts";
import { readWeightFiles } from "../../frontend/checkpoint/weight-files.ts";
import { readJson } from "../../frontend/json-file.ts";
import type { FileSet } from "../../tensor/source.ts";
import { elementCount } from "../../tensor/tensor.ts";
import type { Inspection } from "../commands/inspect.ts";
import { formatTable } from "../format.ts";
import { formatWeights, summarizeWeights } from "./weights.ts";

/** What the files themselves say: the architecture need not be supported. */
export async function inspectCheckpoint(files: FileSet, path: string): Promise<Inspection> {
  const faults: Diagnostic[] = [];
  const config = (await readJson(files, "config.json", z.looseObject({}), faults)) ?? {};
  const chosen = path.endsWith(".safetensors") ? path.split(/[/\\]/).at(-1) : undefined;
  const stored = await readWeightFiles(files, chosen, faults);
  if (faults.length > 0) throw new BitnetcError(faults);
  const tensors = [...stored.values()].map(({ name, file, dtype, shape, bytes }) => ({
    name,
    dtype,
    shape,
    bytes: bytes.size,
    file,
  }));
  const weights = summarizeWeights(
    tensors.map((entry) => ({ ...entry, elements: elementCount(entry.shape) })),
  );
  const text =
    `${path}: checkpoint\n` +
    formatTable([
      ...Object.entries(config)
        .filter(([, value]) => value !== null)
        .map(([field, value]) => [field, typeof value === "string" ? value : JSON.stringify(value)] as const),
      ["weights", formatWeights(weights)],
    ]) +
    `tensors\n${formatTable(tensors.map(({ name, dtype, shape }) => [name, `${dtype} [${shape.join(", ")}]`]))}`;
  const json = { kind: "checkpoint", file: { name: path }, config, weights, tensors };
  return { json: () => json, text: () => text };
}
