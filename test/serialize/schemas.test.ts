import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { DType } from "../../src/serialize/generated/read/bitnetc.ts";
import { dtypes } from "../../src/tensor/dtype.ts";

test("generated code is what the schemas give", () => {
  const { status, stderr } = spawnSync(process.execPath, ["scripts/generate-schemas.js", "--check"], {
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  expect(status).toBe(0);
});

test("every element type has a number in the delegate's schema", () => {
  expect(Object.keys(DType).filter((name) => Number.isNaN(Number(name)))).toEqual([...dtypes]);
});
