import { defineConfig } from "vitest/config";

export default defineConfig({
  // Tests that compile whole models take seconds, and several times that on a machine that does other things too.
  test: { include: ["test/**/*.test.ts"], testTimeout: 60_000 },
});
