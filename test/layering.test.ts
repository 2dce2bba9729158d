import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** The source files that an entry point takes in, bundled as for a browser; fails on an import from `node:`. */
async function sourcesOf(entry: string): Promise<readonly string[]> {
  const { metafile } = await build({
    entryPoints: [`${root}/src/${entry}`],
    absWorkingDir: root,
    bundle: true,
    splitting: true,
    write: false,
    outdir: "unwritten",
    platform: "browser",
    format: "esm",
    metafile: true,
    logLevel: "silent",
  });
  return Object.keys(metafile.inputs).filter((path) => path.startsWith("src/"));
}

describe("layers", () => {
  test("the compiler needs nothing of Node", async () => {
    const sources = await sourcesOf("index.ts");
    expect(sources).toContain("src/frontend/onnx/load.ts");
    expect(sources.filter((path) => /^src\/(cli|node)/.test(path))).toEqual([]);
  });

  test("the runtime needs nothing of Node, and nothing of the compiler", async () => {
    const sources = await sourcesOf("runtime/index.ts");
    const portable = await sourcesOf("runtime/portable.ts");
    const allowed = /^src\/(runtime|tensor|packing|serialize)\/|^src\/(errors|diagnostics)\.ts$/;
    expect([...sources, ...portable].filter((path) => !allowed.test(path))).toEqual([]);
    const inspection = /generated\/schema|flatbuffer-json|describe-program|vulkan|vkgraph/;
    expect(sources.filter((path) => inspection.test(path) || path.includes("cpu/portable"))).toEqual([]);
  });
});
