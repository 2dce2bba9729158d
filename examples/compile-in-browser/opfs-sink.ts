import { memorySink, type Sink } from "bitnetc";

/** A sink whose file can be had when everything is written. */
export interface ProgramSink extends Sink {
  finish(): Promise<Blob>;
  discard(): Promise<void>;
}

/** Workers have it; the types of pages do not say so. */
interface SyncAccessHandle {
  write(bytes: Uint8Array, options: { readonly at: number }): number;
  truncate(size: number): void;
  close(): void;
}
type WorkerFileHandle = FileSystemFileHandle & { createSyncAccessHandle(): Promise<SyncAccessHandle> };

const folderName = "compiled-programs";
const day = 24 * 60 * 60 * 1000;

/** Writes to the origin private file system, so that a program need not fit in memory; to memory where there is none. */
export async function programSink(): Promise<ProgramSink> {
  try {
    return await fileSink();
  } catch {
    const sink = memorySink();
    return { ...sink, finish: async () => new Blob([sink.bytes()]), discard: async () => {} };
  }
}

async function fileSink(): Promise<ProgramSink> {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle(folderName, { create: true });
  await removeOld(folder);
  const name = `${crypto.randomUUID()}.pte`;
  const file = (await folder.getFileHandle(name, { create: true })) as WorkerFileHandle;
  const handle = await file.createSyncAccessHandle();
  return {
    async write(offset, bytes) {
      for (let done = 0; done < bytes.length; ) {
        done += handle.write(bytes.subarray(done), { at: offset + done });
      }
    },
    truncate: async (size) => handle.truncate(size),
    async finish() {
      handle.close();
      return file.getFile();
    },
    async discard() {
      handle.close();
      await folder.removeEntry(name);
    },
  };
}

/** Pages do not know when they end, so what they leave is removed a day later. */
async function removeOld(folder: FileSystemDirectoryHandle): Promise<void> {
  for await (const handle of (
    folder as unknown as { values(): AsyncIterable<FileSystemFileHandle> }
  ).values()) {
    const { lastModified } = await handle.getFile();
    if (Date.now() - lastModified > day) await folder.removeEntry(handle.name).catch(() => undefined);
  }
}
