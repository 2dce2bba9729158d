import * as z from "zod";
import * as diagnostics from "../../diagnostics.ts";
import type { Diagnostic } from "../../errors.ts";
import type { FileSet } from "../../tensor/source.ts";
import { readJson } from "../json-file.ts";
import { readSafetensors, type StoredTensor } from "./safetensors.ts";

const singleFile = "model.safetensors";
const indexFile = "model.safetensors.index.json";
const indexSchema = z.looseObject({ weight_map: z.record(z.string(), z.string()) });

/**
 * All tensors of a checkpoint: of model.safetensors, of the shards that model.safetensors.index.json lists, or
 * of the only .safetensors file there is.
 * @param chosen the file to read, where the user named one
 * @param faults grows by one entry for each thing that is wrong
 */
export async function readWeightFiles(
  files: FileSet,
  chosen: string | undefined,
  faults: Diagnostic[],
): Promise<ReadonlyMap<string, StoredTensor>> {
  if (chosen !== undefined) return readFiles(files, [chosen], undefined, faults);
  const names = await files.list();
  if (names.includes(singleFile)) return readFiles(files, [singleFile], undefined, faults);
  if (names.includes(indexFile)) {
    const index = await readJson(files, indexFile, indexSchema, faults);
    if (index === undefined) return new Map();
    return readFiles(files, [...new Set(Object.values(index.weight_map))], index.weight_map, faults);
  }
  const candidates = names.filter((name) => name.endsWith(".safetensors") && !name.includes("/"));
  if (candidates.length === 1) return readFiles(files, candidates, undefined, faults);
  faults.push(diagnostics.checkpointWeights(files.name, candidates));
  return new Map();
}

async function readFiles(
  files: FileSet,
  paths: readonly string[],
  placeOf: Readonly<Record<string, string>> | undefined,
  faults: Diagnostic[],
): Promise<ReadonlyMap<string, StoredTensor>> {
  const before = faults.length;
  const tensors = new Map<string, StoredTensor>();
  for (const path of paths) {
    const source = await files.open(path);
    if (source === undefined) {
      faults.push(diagnostics.fileMissing(path));
      continue;
    }
    for (const tensor of await readSafetensors(source, path, faults)) {
      const place = placeOf && Object.hasOwn(placeOf, tensor.name) ? placeOf[tensor.name] : undefined;
      if (place === undefined || place === path) tensors.set(tensor.name, tensor);
    }
  }
  // a shard that cannot be read would make all of its tensors missing too
  if (faults.length > before) return tensors;
  for (const [name, path] of Object.entries(placeOf ?? {}))
    if (!tensors.has(name)) faults.push(diagnostics.checkpointIndex(name, path));
  return tensors;
}
