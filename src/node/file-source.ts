import { type FileHandle, open, readFile, stat } from "node:fs/promises";
import * as diagnostics from "../diagnostics.ts";
import { BitnetcError, messageOf } from "../errors.ts";
import type { Source } from "../tensor/source.ts";

/**
 * A file, read in ranges. It is opened for each read: a source has no end at which it could be closed.
 * @param path where the file is
 * @param name what errors call it
 * @throws BitnetcError `file-missing` or `file-read`
 */
export async function fileSource(path: string, name = path): Promise<Source> {
  const found = await stat(path).catch((cause: unknown) => {
    throw readError(name, cause);
  });
  if (!found.isFile()) throw new BitnetcError(diagnostics.fileRead(name, "it is not a regular file"));
  return {
    name,
    size: found.size,
    async read(from, to) {
      const handle = await open(path, "r").catch((cause: unknown) => {
        throw readError(name, cause);
      });
      try {
        return await readRange(handle, name, from, to);
      } finally {
        await handle.close();
      }
    },
  };
}

async function readRange(handle: FileHandle, name: string, from: number, to: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(to - from);
  let filled = 0;
  while (filled < bytes.length) {
    // One read call transfers less than 2 GiB.
    const length = Math.min(bytes.length - filled, 2 ** 30);
    const { bytesRead } = await handle.read(bytes, filled, length, from + filled);
    if (bytesRead === 0) throw new BitnetcError(diagnostics.fileTruncated(name, to, from + filled));
    filled += bytesRead;
  }
  return bytes;
}

/** @throws BitnetcError when there is nothing at the path */
export async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    throw readError(path, cause);
  }
}

/** A file system's error as one of the product's. */
export function readError(name: string, cause: unknown): BitnetcError {
  const code = errorCode(cause);
  const diagnostic =
    code === "ENOENT" || code === "ENOTDIR"
      ? diagnostics.fileMissing(name)
      : diagnostics.fileRead(name, errorText(cause));
  return new BitnetcError(diagnostic, { cause });
}

export function writeError(name: string, cause: unknown): BitnetcError {
  return new BitnetcError(diagnostics.fileWrite(name, errorText(cause)), { cause });
}

export const errorCode = (cause: unknown): string | undefined =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : undefined;

const sentences: Readonly<Record<string, string>> = {
  EACCES: "permission is missing",
  EPERM: "permission is missing",
  EEXIST: "it is a file",
  EISDIR: "it is a folder",
  ENOENT: "its folder does not exist",
  ENOTDIR: "its folder does not exist",
  ENOSPC: "the disk is full",
  EROFS: "the disk is read-only",
  EMFILE: "too many files are open",
};

const errorText = (cause: unknown): string => sentences[errorCode(cause) ?? ""] ?? messageOf(cause);

/** All bytes of a file, or of a pipe. @throws BitnetcError `file-missing` or `file-read` */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw readError(path, cause);
  }
}

/** A file as UTF-8 text. @throws BitnetcError `file-missing`, `file-read` or `file-not-text` */
export async function readText(path: string): Promise<string> {
  const bytes = await readBytes(path);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new BitnetcError(diagnostics.fileNotText(path), { cause });
  }
}
