// npm run examples [-- --serve [PORT]]: builds the browser examples to examples/*/dist, says how large they are, and
// serves them.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { gzipSync } from "node:zlib";
import { context, type Metafile } from "esbuild";
import { buildExample, examples } from "./examples/build.ts";

/** Bytes, gzipped, of an output with everything that it imports at once, and of what it loads later. */
function sizesOf(entry: string, { outputs }: Metafile): { readonly atOnce: number; readonly later: number } {
  const gather = (file: string, kinds: readonly string[], files = new Set<string>()): Set<string> => {
    if (files.has(file)) return files;
    files.add(file);
    for (const { path, kind } of outputs[file]!.imports) {
      if (kinds.includes(kind)) gather(path, kinds, files);
    }
    return files;
  };
  const bytes = (files: Iterable<string>): number =>
    [...files].reduce((sum, file) => sum + gzipSync(readFileSync(file), { level: 9 }).length, 0);
  const atOnce = bytes(gather(entry, ["import-statement"]));
  return { atOnce, later: bytes(gather(entry, ["import-statement", "dynamic-import"])) - atOnce };
}

const kilobytes = (bytes: number): string => `${(bytes / 1024).toFixed(1)} KB`;

for (const example of examples) {
  const metafile = await buildExample(example);
  for (const [file, { entryPoint }] of Object.entries(metafile.outputs)) {
    if (!/^examples\/.*\.ts$/.test(entryPoint ?? "")) continue;
    const { atOnce, later } = sizesOf(file, metafile);
    const onDemand = later > 0 ? `, and ${kilobytes(later)} on demand` : "";
    console.log(`${file}: ${kilobytes(atOnce)} gzipped${onDemand}`);
  }
}

const serve = process.argv.indexOf("--serve");
if (serve >= 0) {
  const port = Number(process.argv[serve + 1] ?? 8000);
  const server = await (await context({})).serve({ servedir: "examples", host: "127.0.0.1", port });
  for (const example of examples) console.log(`http://localhost:${server.port}/${basename(example)}/dist/`);
}
