import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { urlSource } from "../../src/runtime/url-source.ts";

const contents = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 7) % 251);

type Answer = (request: IncomingMessage, response: ServerResponse) => void;
let server: Server | undefined;
let asked: (string | undefined)[] = [];

/** Starts a server. @returns the URL of its file */
async function serve(answer: Answer): Promise<string> {
  asked = [];
  server = createServer((request, response) => {
    asked.push(request.headers.range);
    answer(request, response);
  });
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.pte`;
}

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** A server's answer to a request for a part. */
function part(request: IncomingMessage, response: ServerResponse, bytes = contents, etag = '"1"'): void {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "")!.map(Number) as [
    number,
    number,
    number,
  ];
  const end = Math.min(to + 1, bytes.length);
  response.writeHead(206, { "content-range": `bytes ${from}-${end - 1}/${bytes.length}`, etag });
  response.end(bytes.subarray(from, end));
}

const whole: Answer = (_, response) => {
  response.writeHead(200, { "content-length": contents.length });
  response.end(contents);
};

describe("urlSource", () => {
  it("reads parts by range requests, and asks for the head once", async () => {
    const url = await serve(part);
    const source = await urlSource(new URL(`${url}?key=secret`));
    expect(source).toMatchObject({ name: url, size: contents.length });
    expect(await source.read(8, 40)).toEqual(contents.slice(8, 40));
    expect(asked).toEqual(["bytes=0-65535"]);
    expect(await source.read(65_000, 150_000)).toEqual(contents.slice(65_000, 150_000));
    expect(await source.read(199_990, 300_000)).toEqual(contents.slice(199_990));
    expect(await source.read(70_000, 70_000)).toHaveLength(0);
    expect(asked).toEqual(["bytes=0-65535", "bytes=65000-149999", "bytes=199990-199999"]);
  });

  it("loads the whole file once from a server that gives no parts, and tells how far it is", async () => {
    const url = await serve(whole);
    const progress: [number, number][] = [];
    const source = await urlSource(url, { onProgress: (...each) => progress.push(each) });
    expect(source.size).toBe(contents.length);
    expect(await source.read(100_000, 100_010)).toEqual(contents.slice(100_000, 100_010));
    expect(await source.read(0, contents.length)).toEqual(contents);
    expect(asked).toHaveLength(1);
    expect(progress.at(-1)).toEqual([contents.length, contents.length]);
  });

  it("loads the whole file where the size cannot be read, as without permission of the other origin", async () => {
    const url = await serve((request, response) => {
      if (request.headers.range === undefined) return whole(request, response);
      response.writeHead(206).end(contents.subarray(0, 65_536));
    });
    const source = await urlSource(url);
    expect(await source.read(150_000, 150_004)).toEqual(contents.slice(150_000, 150_004));
    expect(asked).toEqual(["bytes=0-65535", undefined]);
  });

  it("says what the server answers", async () => {
    const url = await serve((_, response) => response.writeHead(404).end());
    await expect(urlSource(`${url}?key=secret`)).rejects.toMatchObject({
      code: "source-fetch",
      diagnostics: [{ message: expect.stringContaining("404"), at: url }],
    });
    expect(asked).toHaveLength(1);
  });

  it("says that nobody answers", async () => {
    const url = await serve(whole);
    await new Promise((resolve) => server!.close(resolve));
    await expect(urlSource(url)).rejects.toMatchObject({ code: "source-fetch" });
    await expect(urlSource("model.pte")).rejects.toThrow(/source-fetch[\s\S]*openProgram/);
  });

  it("asks again when a connection or a server fails for a moment", async () => {
    const url = await serve((request, response) => {
      if (asked.length === 1) response.writeHead(503).end();
      else if (asked.length === 3) {
        response.writeHead(206, {
          "content-range": `bytes 100000-199999/${contents.length}`,
          "content-length": 100_000,
          etag: '"1"',
        });
        response.write(contents.subarray(0, 1000));
        setTimeout(() => response.destroy(), 5);
      } else part(request, response);
    });
    const source = await urlSource(url);
    expect(await source.read(100_000, 200_000)).toEqual(contents.slice(100_000));
    expect(asked).toHaveLength(4);
  });

  it("gives up on a server that does not recover", async () => {
    const url = await serve((_, response) => response.writeHead(500).end());
    await expect(urlSource(url)).rejects.toThrow(/source-fetch.*500/);
    expect(asked).toHaveLength(3);
  });

  it.each([
    ["its tag", (request, response) => part(request, response, contents, '"2"')],
    ["its size", (request, response) => part(request, response, contents.subarray(0, 190_000))],
    ["that it gives parts", whole],
  ] satisfies [string, Answer][])("notices a file that changed by %s", async (_, answer) => {
    const url = await serve((request, response) =>
      asked.length === 1 ? part(request, response) : answer(request, response),
    );
    const source = await urlSource(url);
    await expect(source.read(100_000, 150_000)).rejects.toMatchObject({ code: "source-changed" });
  });

  it("refuses less than it asked for", async () => {
    const url = await serve((request, response) => {
      if (asked.length === 1) return part(request, response);
      const range = `bytes 100000-100009/${contents.length}`;
      response.writeHead(206, { "content-range": range, etag: '"1"' }).end(contents.subarray(0, 10));
    });
    const source = await urlSource(url);
    await expect(source.read(100_000, 150_000)).rejects.toThrow(/source-fetch.*10 bytes where 50000/);
  });

  it("throws the signal's reason", async () => {
    const url = await serve(() => {});
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("enough")), 20);
    await expect(urlSource(url, { signal: controller.signal })).rejects.toThrow("enough");
    expect(asked).toHaveLength(1);
  });

  it("asks by the given fetch", async () => {
    const seen: unknown[] = [];
    const source = await urlSource("https://models.example/a.pte", {
      fetch: async (input, init) => {
        seen.push([input, init?.headers]);
        return new Response(contents);
      },
    });
    expect(source.size).toBe(contents.length);
    expect(seen).toEqual([["https://models.example/a.pte", { range: "bytes=0-65535" }]]);
  });
});
