// node scripts/run.js FILE.ts [argument…]: runs a TypeScript file of this repository as Node runs JavaScript.
import { mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const [file, ...rest] = process.argv.slice(2);
if (file === undefined) {
  console.error("usage: node scripts/run.js FILE.ts [argument…]");
  process.exit(2);
}
const cache = fileURLToPath(new URL("../node_modules/.cache/bitnetc/", import.meta.url));
mkdirSync(cache, { recursive: true });
// One file for each process: two runs of one script do not disturb each other.
const outfile = path.join(cache, `${path.basename(file, ".ts")}.${process.pid}.mjs`);
await build({
  entryPoints: [file],
  outfile,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node20",
  packages: "external",
  sourcemap: "inline",
  logLevel: "warning",
});
process.setSourceMapsEnabled(true);
process.argv = [process.argv[0], file, ...rest];
try {
  await import(pathToFileURL(outfile).href);
} finally {
  rmSync(outfile, { force: true });
}
