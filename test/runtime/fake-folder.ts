const missing = () => new DOMException("there is no such entry", "NotFoundError");

/** A folder of an origin private file system, in memory, as far as a cache uses it. */
export class FakeFolder {
  readonly files = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly folders = new Map<string, FakeFolder>();
  /** Bytes that it takes. */
  readonly room: number;

  constructor(room = Number.POSITIVE_INFINITY) {
    this.room = room;
  }

  async getDirectoryHandle(name: string, { create = false } = {}): Promise<FakeFolder> {
    if (create && !this.folders.has(name)) this.folders.set(name, new FakeFolder(this.room));
    const folder = this.folders.get(name);
    if (folder === undefined) throw missing();
    return folder;
  }

  async getFileHandle(name: string, { create = false } = {}) {
    if (!create && !this.files.has(name)) throw missing();
    if (!this.files.has(name)) this.files.set(name, new Uint8Array());
    return {
      getFile: async () => new Blob([this.files.get(name)!]),
      createWritable: async () => {
        let written = new Uint8Array();
        return {
          write: async (bytes: Uint8Array) => {
            const used = [...this.files.values()].reduce((sum, { length }) => sum + length, 0);
            if (used + bytes.length > this.room) throw new DOMException("too much", "QuotaExceededError");
            written = new Uint8Array(bytes);
          },
          close: async () => {
            this.files.set(name, written);
          },
        };
      },
    };
  }

  async removeEntry(name: string): Promise<void> {
    if (!this.files.delete(name) && !this.folders.delete(name)) throw missing();
  }
}
