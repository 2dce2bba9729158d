import type { GivenFile } from "../shared/drop.ts";
import type { ModelChoice } from "./compiler-messages.ts";

export const folderOf = (path: string): string => path.slice(0, path.lastIndexOf("/") + 1);

/** The models among files that were given together: every .onnx file, every folder with weights and a config.json. */
export function modelsIn(files: readonly GivenFile[]): readonly ModelChoice[] {
  const paths = files.map(({ path }) => path).sort();
  const onnx = paths.filter((path) => /\.onnx$/i.test(path));
  const weights = paths.filter((path) => /\.safetensors$/i.test(path)).map(folderOf);
  const configured = new Set(paths.filter((path) => /(^|\/)config\.json$/.test(path)).map(folderOf));
  const checkpoints = [...new Set(weights)].filter((folder) => configured.has(folder));
  return [
    ...checkpoints.map((path) => ({ kind: "checkpoint", path }) as const),
    ...onnx.map((path) => ({ kind: "onnx", path }) as const),
  ];
}
