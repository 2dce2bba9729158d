import { cpSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { build, type Metafile } from "esbuild";

/** The browser examples: folders with an index.html, a main.ts and a style.css. */
export const examples = ["examples/chat", "examples/compile-in-browser"] as const;
export type Example = (typeof examples)[number];

/** Workers are files of their own, which the pages load by name. */
const workers: Readonly<Record<Example, readonly string[]>> = {
  "examples/chat": ["examples/shared/session.worker.ts"],
  "examples/compile-in-browser": [
    "examples/shared/session.worker.ts",
    "examples/compile-in-browser/compiler.worker.ts",
  ],
};

/** Builds one example into a folder, which is emptied first. Runs in the root of the repository. */
export async function buildExample(
  example: Example,
  outdir: string = join(example, "dist"),
): Promise<Metafile> {
  rmSync(outdir, { recursive: true, force: true });
  mkdirSync(outdir, { recursive: true });
  const { metafile } = await build({
    entryPoints: [join(example, "main.ts"), join(example, "style.css"), ...workers[example]],
    outdir,
    entryNames: "[name]",
    chunkNames: "[name]-[hash]",
    bundle: true,
    splitting: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2023",
    metafile: true,
    logLevel: "warning",
  });
  cpSync(join(example, "index.html"), join(outdir, "index.html"));
  return metafile;
}
