// npm run onnx-tests -- [DIR] [--backend NAME] [--filter TEXT] [--min-pass-rate PERCENT] [--json FILE]
// Runs ONNX's operator tests (folders with model.onnx and test_data_set_*) through compile and the CPU executor.
// Without DIR it runs those in test/data. Exits with 1 if a test fails, or with --min-pass-rate only if fewer pass
// than that.
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import { type Options, parseOptions } from "../src/options.ts";
import { failureOf, operatorTests } from "../test/onnx/operator-tests.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    backend: { type: "string", default: "webgpu" },
    filter: { type: "string", default: "" },
    "min-pass-rate": { type: "string", default: "100" },
    json: { type: "string" },
  },
});
const [location = "test/data/onnx-node-tests.tar.br"] = positionals;
const minPassRate = Number(values["min-pass-rate"]);
const { backend } = parseOptions({ backend: values.backend as Options["backend"] });
if (positionals.length > 1 || Number.isNaN(minPassRate)) {
  console.error(
    "usage: npm run onnx-tests -- [DIR] [--backend NAME] [--filter TEXT] [--min-pass-rate PERCENT] [--json FILE]",
  );
  process.exit(2);
}
if (!existsSync(location)) {
  console.error(`There is no ${location}.`);
  process.exit(1);
}

const results: { readonly name: string; readonly failure?: string }[] = [];
for await (const test of operatorTests(location)) {
  if (!test.name.includes(values.filter)) continue;
  const failure = await failureOf(test, { device: "cpu" }, backend);
  results.push(failure === undefined ? { name: test.name } : { name: test.name, failure });
  if (failure !== undefined) console.log(`${test.name}: ${failure}`);
}
const failed = results.filter(({ failure }) => failure !== undefined).length;
const passed = results.length - failed;
if (values.json !== undefined)
  await writeFile(values.json, `${JSON.stringify({ passed, failed, results }, null, 2)}\n`);
console.log(`${passed} passed, ${failed} failed`);
if (results.length === 0 || passed < (results.length * minPassRate) / 100) process.exitCode = 1;
