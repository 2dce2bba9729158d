// Prints `N passed, M failed` from vitest's JSON report, and fails when a test failed, none ran or one was skipped.
import { readFileSync } from "node:fs";

const {
  numPassedTests: passed,
  numFailedTests,
  numPendingTests,
  testResults,
  success,
} = JSON.parse(readFileSync(process.argv[2], "utf8"));
// A file that does not load has no tests to count.
const failed =
  numFailedTests +
  testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0).length;
console.log(`${passed} passed, ${failed} failed`);
process.exit(success && failed === 0 && passed > 0 && numPendingTests === 0 ? 0 : 1);
