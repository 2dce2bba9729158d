import { configDefaults, defineConfig } from "vitest/config";
import { missingParts } from "./test/support/requirements.ts";

// What a machine cannot run is left out with a word about it; .ci/run counts it as failed.
const missing = missingParts();
for (const { what, folder, hint } of missing)
  console.warn(`${folder} is left out: there is no ${what}. ${hint}`);

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: [...configDefaults.exclude, ...missing.map(({ folder }) => `${folder}/**`)],
    // Tests that compile whole models take seconds, and several times that on a machine that does other things too.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
