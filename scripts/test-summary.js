// Prints `N passed, M failed` from vitest's JSON report, and fails when a test failed or none ran.
import { readFileSync } from "node:fs";

const report = JSON.parse(readFileSync(process.argv[2], "utf8"));
const { numPassedTests: passed, numPendingTests: skipped, testResults } = report;
// A file that does not load has no tests to count.
const broken = testResults.filter(
  ({ status, assertionResults }) => status === "failed" && assertionResults.length === 0,
);
const failed = report.numFailedTests + broken.length;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
if (!report.success || failed > 0 || passed === 0) process.exitCode = 1;
