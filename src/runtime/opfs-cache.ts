import type { ChunkCache } from "../serialize/blob.ts";

const folderName = "bitnetc";

/**
 * Keeps pieces of programs in the browser's origin private file system: a file each, by SHA-256, so that a download
 * that was broken off goes on where it ended.
 * @returns undefined where there is no such file system
 */
export async function opfsCache(): Promise<ChunkCache | undefined> {
  let folder: FileSystemDirectoryHandle;
  try {
    const root = await navigator.storage.getDirectory();
    folder = await root.getDirectoryHandle(folderName, { create: true });
  } catch {
    return undefined;
  }
  let isFull = false;
  return {
    async get(sha256) {
      try {
        const file = await (await folder.getFileHandle(sha256)).getFile();
        return new Uint8Array(await file.arrayBuffer());
      } catch {
        return undefined;
      }
    },
    async put(sha256, bytes) {
      if (isFull) return;
      try {
        const file = await folder.getFileHandle(sha256, { create: true });
        const writable = await file.createWritable();
        await writable.write(bytes);
        await writable.close();
      } catch {
        // the quota is used up, most likely: the rest is read from where it comes from
        isFull = true;
        await folder.removeEntry(sha256).catch(() => {});
      }
    },
  };
}

/** Removes all that `cache: "opfs"` has kept. */
export async function clearCache(): Promise<void> {
  const root = await navigator.storage.getDirectory();
  try {
    await root.removeEntry(folderName, { recursive: true });
  } catch (error) {
    if ((error as Error).name !== "NotFoundError") throw error;
  }
}
