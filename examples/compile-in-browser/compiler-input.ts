import { blobSource, type FileSet, type Input, memoryFiles } from "bitnetc";
import type { GivenFile } from "../shared/drop.ts";
import type { ModelChoice } from "./compiler-messages.ts";
import { folderOf } from "./model-files.ts";

/** What the compiler takes. */
export function inputOf({ kind, path }: ModelChoice, files: readonly GivenFile[]): Input {
  const folder = folderOf(path);
  const near = files.filter((file) => file.path.startsWith(folder));
  const byPath = new Map(near.map(({ path, file }) => [path.slice(folder.length), file]));
  const all = memoryFiles(folder.replace(/\/$/, "") || "the files", Object.fromEntries(byPath));
  // Files in folders within can be opened, but are not part of what the folder offers.
  const set: FileSet = {
    name: all.name,
    list: async () => [...byPath.keys()].filter((name) => !name.includes("/")).sort(),
    open: all.open,
  };
  if (kind === "checkpoint") return { files: set };
  const file = byPath.get(path.slice(folder.length));
  if (file === undefined) throw new Error(`there is no file ${path}`);
  return { model: blobSource(path, file), files: set };
}
