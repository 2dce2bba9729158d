import { readFileSync, writeFileSync } from "node:fs";
import { commandLineReference } from "../src/cli/markdown.ts";
import { opReference } from "./docs/ops.ts";
import { passReference } from "./docs/passes.ts";
import { withGenerated } from "./docs/table.ts";
import { withWebGpuTables } from "./docs/webgpu.ts";

const pages = {
  "docs/cli.md": commandLineReference,
  "docs/ops.md": opReference,
  "docs/webgpu.md": () => withWebGpuTables(readOrEmpty("docs/webgpu.md")),
  "docs/plugins.md": () => withGenerated(readOrEmpty("docs/plugins.md"), "passes", passReference()),
};

// With --check nothing is written: the exit code says whether the pages are what the tables say.
const isCheck = process.argv.includes("--check");
for (const [path, generate] of Object.entries(pages)) {
  const text = generate();
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
