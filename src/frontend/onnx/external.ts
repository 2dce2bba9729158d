import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError } from "../../errors.ts";
import { type ByteRange, byteRange, type FileSet, type Source } from "../../tensor/source.ts";

/** The files beside a model that hold elements of its tensors. */
export class ExternalData {
  readonly #files: FileSet | undefined;
  readonly #opened = new Map<string, Promise<Source | undefined>>();

  /** @param files the folder that the model is in, if it is in one */
  constructor(files: FileSet | undefined) {
    this.#files = files;
  }

  /**
   * Where a tensor's elements are. Keys of `entries` are those of `TensorProto.external_data`: `location`,
   * `offset` (bytes, 0 when left out) and `length` (bytes, to the end of the file when left out).
   * @param need bytes that the tensor has
   * @throws BitnetcError when the file is missing, too short, or not in the model's folder
   */
  async range(tensor: string, entries: ReadonlyMap<string, string>, need: number): Promise<ByteRange> {
    const location = entries.get("location") ?? "";
    const path = pathInFolder(location);
    if (path === undefined) throw new BitnetcError(diagnostics.onnxExternalPath(tensor, location));
    const source = await this.#open(path);
    if (source === undefined) throw new BitnetcError(diagnostics.onnxExternalMissing(tensor, path));
    const offset = byteCount(entries.get("offset") ?? "0");
    const length = byteCount(entries.get("length") ?? String(need));
    if (offset === undefined || length === undefined || length < need)
      throw new BitnetcError(diagnostics.onnxTensorSize(tensor, need, length ?? 0));
    if (offset + need > source.size)
      throw new BitnetcError(diagnostics.fileTruncated(path, offset + need, source.size));
    return byteRange(source, offset, need, `external:${path}`);
  }

  #open(path: string): Promise<Source | undefined> {
    let source = this.#opened.get(path);
    if (source === undefined) {
      source = this.#files?.open(path) ?? Promise.resolve(undefined);
      this.#opened.set(path, source);
    }
    return source;
  }
}

/** The location as a plain relative path; undefined when it is absolute or leads out of the folder. */
export function pathInFolder(location: string): string | undefined {
  if (location === "" || /^[/\\]|^[A-Za-z][\w+.-]*:|\0/.test(location)) return undefined;
  const path: string[] = [];
  for (const part of location.split(/[/\\]/)) {
    if (part === "" || part === ".") continue;
    if (part !== "..") path.push(part);
    else if (path.pop() === undefined) return undefined;
  }
  return path.length === 0 ? undefined : path.join("/");
}

function byteCount(text: string): number | undefined {
  const count = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(count) ? count : undefined;
}
