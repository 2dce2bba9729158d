import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { commandLineReference } from "../src/cli/markdown.ts";
import { opReference } from "./docs/ops.ts";
import { passReference } from "./docs/passes.ts";
import { withGenerated } from "./docs/table.ts";

const pages = {
  "docs/cli.md": commandLineReference,
  "docs/ops.md": opReference,
  "docs/plugins.md": () => withGenerated(readOrEmpty("docs/plugins.md"), "passes", passReference()),
};

// With --check nothing is written: the exit code says whether the pages are what the tables say.
const isCheck = process.argv.includes("--check");
for (const [path, generate] of Object.entries(pages)) {
  const text = formatted(path, generate());
  if (!isCheck) {
    writeFileSync(path, text);
  } else if (readOrEmpty(path) !== text) {
    console.error(`${path} is not up to date: run \`npm run docs\`.`);
    process.exitCode = 1;
  }
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** As `npm run format` would leave it. */
function formatted(path: string, text: string): string {
  const biome = ["node_modules/@biomejs/biome/bin/biome", "format", "--stdin-file-path", path];
  return execFileSync(process.execPath, biome, { input: text, encoding: "utf8" });
}
