import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";

/** A request that was answered. */
export interface Served {
  readonly path: string;
  readonly range: string | undefined;
  /** Of the body. */
  readonly bytes: number;
}

export interface StaticServer {
  readonly address: string;
  /** In order; tests may empty it. */
  readonly served: Served[];
  close(): Promise<void>;
}

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
};

/** Serves folders, each under the name it is given, with ranges. */
export async function serveFolders(folders: Readonly<Record<string, string>>): Promise<StaticServer> {
  const served: Served[] = [];
  const server = createServer((request, response) => {
    answer(folders, request, response).then(
      (answered) => served.push(answered),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: `http://127.0.0.1:${port}`,
    served,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  folders: Readonly<Record<string, string>>,
  { url = "/", headers }: IncomingMessage,
  response: ServerResponse,
): Promise<Served> {
  const path = normalize(decodeURIComponent(new URL(url, "http://localhost").pathname));
  const [, name = "", ...rest] = path.split("/");
  const folder = folders[name];
  if (folder === undefined) throw new Error(`nothing is served under ${name}`);
  const file = join(folder, ...rest, path.endsWith("/") ? "index.html" : "");
  const { size, mtime } = await stat(file);
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
  const start = Number(first ?? 0);
  const end = Math.min(last === undefined || last === "" ? size : Number(last) + 1, size);
  response.writeHead(first === undefined ? 200 : 206, {
    "content-type": types[extname(file)] ?? "application/octet-stream",
    "content-length": end - start,
    "accept-ranges": "bytes",
    // What a page keeps is to be seen, not what the browser keeps unasked.
    "cache-control": "no-store",
    "last-modified": mtime.toUTCString(),
    ...(first === undefined ? {} : { "content-range": `bytes ${start}-${end - 1}/${size}` }),
  });
  if (end > start) createReadStream(file, { start, end: end - 1 }).pipe(response);
  else response.end();
  return { path, range: headers.range, bytes: end - start };
}
