import { readdir, realpath } from "node:fs/promises";
import { isAbsolute, join, relative, resolve, sep } from "node:path";
import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import type { FileSet, Source } from "../tensor/source.ts";
import { errorCode, fileSource, readError } from "./file-source.ts";

/**
 * The files of a folder. A model's files say which others they need, so a path that leads out of the
 * folder is refused, by `..`, absolute or through a symbolic link. The one exception are links into the
 * `blobs` folder of the Hugging Face cache that this folder is part of: its snapshots consist of such links.
 *
 * @param opened takes the paths of the files that are opened, links followed
 * @throws BitnetcError `file-missing` when there is no such folder; `open` throws `file-outside`
 */
export async function directoryFiles(path: string, opened = new Set<string>()): Promise<FileSet> {
  let root: string;
  try {
    root = await realpath(path);
  } catch (cause) {
    throw readError(path, cause);
  }
  const cache = /^(.*)[/\\]snapshots[/\\]/.exec(root + sep)?.[1];
  const allowed = cache === undefined ? [root] : [root, join(cache, "blobs")];

  const open = async (file: string): Promise<Source | undefined> => {
    const refuse = () => new BitnetcError(diagnostics.fileOutside(file, path));
    if (isAbsolute(file) || !isWithin(root, resolve(root, file))) throw refuse();
    let real: string;
    try {
      real = await realpath(join(root, file));
    } catch (cause) {
      if (errorCode(cause) === "ENOENT" || errorCode(cause) === "ENOTDIR") return undefined;
      throw readError(join(path, file), cause);
    }
    if (!allowed.some((folder) => isWithin(folder, real))) throw refuse();
    opened.add(real);
    return fileSource(real, join(path, file));
  };

  return {
    name: path,
    /** Those of the folder itself; files in folders within it can be opened all the same. */
    async list() {
      const entries = await readdir(root, { withFileTypes: true });
      const files = entries.filter((entry) => entry.isFile() || entry.isSymbolicLink());
      return files.map((entry) => entry.name).sort();
    },
    open,
  };
}

function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}
