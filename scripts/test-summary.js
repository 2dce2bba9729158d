// Prints `N passed, M failed` from vitest's JSON report. Fails when a test failed and when none ran. A test on a GPU or
// in a browser that was left out counts as failed: a machine that cannot run those has not tested the product.
import { readFileSync } from "node:fs";
import { relative, sep } from "node:path";

const mayNotSkip = ["test/webgpu/", "test/browser/"];

const report = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { numPassedTests: passed, numPendingTests: skipped, testResults } = report;
// A file that does not load, or whose preparations fail, has no failed test to count.
const broken = testResults.filter(
  ({ status, assertionResults }) =>
    status === "failed" && !assertionResults.some(({ status }) => status === "failed"),
);
const leftOut = mayNotSkip.flatMap((folder) => {
  const files = testResults.filter(({ name }) =>
    relative(process.cwd(), name).split(sep).join("/").startsWith(folder),
  );
  const tests = files.flatMap(({ assertionResults }) => assertionResults);
  if (tests.length === 0) return [`all of ${folder}`];
  return tests
    .filter(({ status }) => status !== "passed" && status !== "failed")
    .map(({ fullName }) => `${folder}: ${fullName}`);
});
for (const { name, message } of broken) console.log(`failed: ${name}\n${message}`);
for (const test of leftOut) console.log(`not run: ${test}`);

const failed = report.numFailedTests + broken.length + leftOut.length;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
if (!report.success || failed > 0 || passed === 0) process.exitCode = 1;
