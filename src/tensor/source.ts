/** Bytes that can be read in parts: a file, a Blob, a buffer, a range of another source. */
export interface Source {
  /** What errors call it: a path or a URL. */
  readonly name: string;
  readonly size: number;
  /** Bytes `from` (inclusive) to `to` (exclusive). */
  read(from: number, to: number): Promise<Uint8Array>;
}

/** A range of a source. */
export interface ByteRange {
  /** Equal ids mean equal bytes, among the files of one model or program. */
  readonly id: string;
  readonly size: number;
  /** Offsets relative to the range. */
  read(from: number, to: number): Promise<Uint8Array>;
}

/** Files that belong together: a model with its external data, a checkpoint's folder. */
export interface FileSet {
  /** What errors call it. */
  readonly name: string;
  /** Paths relative to the set, `/`-separated. */
  list(): Promise<readonly string[]>;
  open(path: string): Promise<Source | undefined>;
}

/**
 * Bytes `offset` to `offset + size` of a source.
 * @param file what the id calls the source: the same wherever the files lie
 */
export const byteRange = (source: Source, offset: number, size: number, file = source.name): ByteRange => ({
  id: `${file}[${offset}+${size}]`,
  size,
  read: (from, to) => source.read(offset + from, offset + to),
});

/** A source in memory, which keeps the bytes as they are. */
export const bytesSource = (name: string, bytes: Uint8Array): Source => ({
  name,
  size: bytes.byteLength,
  read: async (from, to) => bytes.subarray(from, to),
});

/** A file that was picked or dropped in a browser, or fetched. */
export const blobSource = (name: string, blob: Blob): Source => ({
  name,
  size: blob.size,
  read: async (from, to) => new Uint8Array(await blob.slice(from, to).arrayBuffer()),
});

/** A set of files held in memory or picked in a browser. */
export const memoryFiles = (name: string, files: Readonly<Record<string, Uint8Array | Blob>>): FileSet => ({
  name,
  list: async () => Object.keys(files),
  open: async (path) => {
    const file = Object.hasOwn(files, path) ? files[path] : undefined;
    if (file === undefined) return undefined;
    return file instanceof Uint8Array ? bytesSource(path, file) : blobSource(path, file);
  },
});

/** All bytes of a source. */
export const readAll = (source: Source): Promise<Uint8Array> => source.read(0, source.size);
