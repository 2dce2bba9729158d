import { rmSync } from "node:fs";
import { type FileHandle, mkdir, open, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import * as diagnostics from "../diagnostics.ts";
import { BitnetcError } from "../errors.ts";
import type { Sink } from "../serialize/sink.ts";
import { writeError } from "./file-source.ts";

/** A file that takes its name when it is complete: until `commit` it lies beside it under another one. */
export interface FileSink extends Sink {
  /** Replaces what was at the path. */
  commit(): Promise<void>;
  /** Removes what was written. Does nothing after `commit`. */
  discard(): Promise<void>;
}

/** @throws BitnetcError `file-write`, here and from the sink's methods */
export async function fileSink(path: string): Promise<FileSink> {
  const target = await targetOf(path);
  const temporary = join(dirname(target), `.${basename(target)}.${process.pid}-${++made}.tmp`);
  const guarded = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (cause) {
      throw writeError(path, cause);
    }
  };
  // Exclusive: what else may lie under that name is not ours to overwrite.
  const handle: FileHandle = await guarded(() => open(temporary, "wx"));
  removeAtExit(temporary);
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (isOpen) await handle.close();
    isOpen = false;
  };
  return {
    write: (offset, bytes) => guarded(() => writeAll(handle, offset, bytes)),
    truncate: (size) => guarded(() => handle.truncate(size)),
    commit: () =>
      guarded(async () => {
        await handle.sync();
        await close();
        await rename(temporary, target);
        unfinished.delete(temporary);
      }),
    async discard() {
      if (!unfinished.has(temporary)) return;
      await close();
      await rm(temporary, { force: true });
      unfinished.delete(temporary);
    },
  };
}

/** Writes a whole file, or nothing. */
export async function writeFile(path: string, bytes: Uint8Array): Promise<void> {
  const sink = await fileSink(path);
  try {
    await sink.write(0, bytes);
    await sink.commit();
  } finally {
    await sink.discard();
  }
}

/** Makes a folder, and those above it, unless it is there. @throws BitnetcError `file-write` */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (cause) {
    throw writeError(path, cause);
  }
}

/** Where a file at `path` goes: through links. Something other than a file, such as a device, is not replaced. */
async function targetOf(path: string): Promise<string> {
  const there = await stat(path).catch(() => undefined);
  if (there === undefined) return path;
  if (there.isFile()) return realpath(path);
  const what = there.isDirectory() ? "it is a folder" : "it is not a regular file";
  throw new BitnetcError(diagnostics.fileWrite(path, what));
}

async function writeAll(handle: FileHandle, offset: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    // One write call transfers less than 2 GiB.
    const length = Math.min(bytes.length - done, 2 ** 30);
    done += (await handle.write(bytes, done, length, offset + done)).bytesWritten;
  }
}

let made = 0;
const unfinished = new Set<string>();
let isCleanedUpAtExit = false;

/** A process that ends early, by a signal's handler say, leaves no half of a file. */
function removeAtExit(path: string): void {
  unfinished.add(path);
  if (isCleanedUpAtExit) return;
  isCleanedUpAtExit = true;
  process.once("exit", () => {
    for (const file of unfinished) rmSync(file, { force: true });
  });
}
