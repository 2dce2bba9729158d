import * as diagnostics from "../diagnostics.ts";
import { BitnetcError, messageOf } from "../errors.ts";
import { blobSource, type Source } from "../tensor/source.ts";

export interface UrlSourceOptions {
  readonly fetch?: typeof fetch | undefined;
  /** Ends all requests. */
  readonly signal?: AbortSignal | undefined;
  /** Hears how much is loaded, in bytes, where the server only gives whole files. */
  readonly onProgress?: ((loaded: number, total: number) => void) | undefined;
}

/** Bytes of the first request, which tells the size of the file and has the head of a program in it. */
const firstSize = 1 << 16;
const attempts = 3;

/**
 * A file on a server, read by range requests. From a server without them it is loaded whole, at once.
 * @throws BitnetcError `source-fetch`, and `source-changed` when the file is replaced while it is read
 */
export async function urlSource(url: string | URL, options: UrlSourceOptions = {}): Promise<Source> {
  const { fetch = globalThis.fetch, signal, onProgress } = options;
  const address = String(url);
  // a query can hold what is secret
  const name = address.replace(/[?#].*/, "");
  const failed = (why: string, cause?: unknown, hint?: string) =>
    new BitnetcError(diagnostics.sourceFetch(name, why, hint), { cause });

  /** Asks again when a connection or a server fails. */
  const request = async <T>(
    range: string | undefined,
    take: (response: Response) => Promise<T>,
  ): Promise<T> => {
    for (let attempt = 1; ; attempt++) {
      const isLast = attempt === attempts;
      try {
        const headers = range === undefined ? {} : { range: `bytes=${range}` };
        const response = await fetch(address, { headers, signal: signal ?? null });
        if (response.ok) return await take(response);
        if (response.status < 500 || isLast) throw failed(`the server answers ${response.status}`);
      } catch (cause) {
        signal?.throwIfAborted();
        if (cause instanceof BitnetcError) throw cause;
        const hint =
          "A server of another origin must allow it (CORS). In Node, paths are for openProgram of bitnetc/node.";
        if (isLast) throw failed(messageOf(cause), cause, hint);
      }
      await new Promise((resolve) => setTimeout(resolve, 100 * attempt ** 2));
    }
  };

  const first = await request(`0-${firstSize - 1}`, async (response) => {
    const size = sizeIn(response);
    if (size !== undefined)
      return { size, version: versionOf(response), head: new Uint8Array(await response.arrayBuffer()) };
    if (response.status === 200) return wholeOf(response, onProgress);
    await response.body?.cancel();
    return undefined;
  });
  if (first === undefined || first instanceof Blob)
    return blobSource(name, first ?? (await request(undefined, (response) => wholeOf(response, onProgress))));

  const { size, version, head } = first;
  return {
    name,
    size,
    async read(from, to) {
      const end = Math.min(to, size);
      if (end <= Math.max(from, head.length)) return head.subarray(from, end);
      return request(`${from}-${end - 1}`, async (response) => {
        if (response.status !== 206 || versionOf(response) !== version) {
          await response.body?.cancel();
          throw new BitnetcError(diagnostics.sourceChanged(name));
        }
        const bytes = new Uint8Array(await response.arrayBuffer());
        if (bytes.length !== end - from)
          throw failed(`the server gives ${bytes.length} bytes where ${end - from} were asked for`);
        return bytes;
      });
    },
  };
}

/** The size of the file of which a response has a part; undefined for a whole file, and where it does not say. */
function sizeIn(response: Response): number | undefined {
  const [, size] = /^bytes .*\/(\d+)$/.exec(response.headers.get("content-range") ?? "") ?? [];
  return response.status === 206 && size !== undefined ? Number(size) : undefined;
}

/** Differs when the file does. */
const versionOf = (response: Response): string =>
  JSON.stringify([response.headers.get("etag"), response.headers.get("last-modified"), sizeIn(response)]);

function wholeOf(response: Response, onProgress: UrlSourceOptions["onProgress"]): Promise<Blob> {
  const size = Number(response.headers.get("content-length"));
  let loaded = 0;
  const counter = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
    transform(piece, controller) {
      loaded += piece.length;
      // what is sent compressed is longer in the end
      onProgress?.(loaded, Math.max(loaded, size));
      controller.enqueue(piece);
    },
  });
  return new Response(response.body?.pipeThrough(counter) ?? null).blob();
}
