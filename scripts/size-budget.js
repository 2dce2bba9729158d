// The size of the runtime's entry point, bundled and minified, without the text libraries that it loads on demand.
// With --parts, or when it is too much, also what it is made of, minified but not compressed.
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const budget = 40 * 1024;

const { outputFiles, metafile } = await build({
  entryPoints: ["src/runtime/index.ts"],
  bundle: true,
  minify: true,
  format: "esm",
  platform: "browser",
  target: "es2023",
  external: ["@huggingface/*"],
  metafile: true,
  write: false,
});

const size = gzipSync(outputFiles[0].contents, { level: 9 }).length;
console.log(`bitnetc/runtime: ${(size / 1024).toFixed(1)} KB gzipped, ${budget / 1024} KB allowed`);
if (process.argv.includes("--parts") || size > budget) {
  const inputs = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.entries(inputs));
  for (const [path, { bytesInOutput }] of inputs.sort(([, a], [, b]) => b.bytesInOutput - a.bytesInOutput))
    console.log(`${String(bytesInOutput).padStart(8)}  ${path}`);
}
const foreign = Object.keys(metafile.inputs).filter((path) =>
  /^src\/(ir|passes|frontend|compiler|backends|cli|node)\b/.test(path),
);
if (foreign.length > 0) console.error(`The runtime imports compiler code: ${foreign.join(", ")}`);
process.exitCode = size > budget || foreign.length > 0 ? 1 : 0;
