import { describe, expect, test } from "vitest";
import { coreOps } from "../../src/ir/ops/index.ts";

describe("the table of core ops", () => {
  test("has every family", () => {
    for (const op of ["add", "reduce_sum", "reshape", "gather", "matmul", "nn.rms_norm", "bitnet.linear"])
      expect(coreOps.has(op)).toBe(true);
  });

  test.each([...coreOps])("%s", (_, def) => {
    expect(def.doc).toMatch(/^\S.*\.$/s);
    expect(def.doc).not.toMatch(/\s{2}|undefined/);
    expect(def.kernel).toBeInstanceOf(Function);
    expect(def.infer).toBeInstanceOf(Function);
    const names = def.args.map((spec) => spec.replace(/[?*]$/, ""));
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-z][a-z_0-9]*$/);
    // an argument that may be left out is followed by no other that may not
    const firstOptional = def.args.findIndex((spec) => spec.endsWith("?"));
    if (firstOptional >= 0)
      expect(def.args.slice(firstOptional).every((spec) => spec.endsWith("?"))).toBe(true);
    if (def.commutative) expect(def.args).toEqual(["a", "b"]);
    if (def.mutates !== undefined) expect(names).toContain(def.mutates);
  });
});
