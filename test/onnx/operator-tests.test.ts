import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { tensor } from "../../src/tensor/tensor.ts";
import { differenceOf, failureOf, operatorTests } from "./operator-tests.ts";

const archive = fileURLToPath(new URL("../data/onnx-node-tests.tar.br", import.meta.url));

/** Tests that are known to fail, each with its reason. docs/onnx-operator-tests.md explains them. */
const knownFailures: Readonly<Record<string, string>> = {
  test_training_dropout_mask: "onnx-unsupported: Dropout: training mode drops elements at random.",
};

test.each(["webgpu", "vulkan", "portable"] as const)(
  "ONNX's operator tests pass on the CPU, compiled for %s",
  async (backend) => {
    const failures: Record<string, string> = {};
    let count = 0;
    for await (const operatorTest of operatorTests(archive)) {
      count++;
      const failure = await failureOf(operatorTest, { device: "cpu" }, backend);
      if (failure !== undefined) failures[operatorTest.name] = failure;
    }
    expect(failures).toEqual(knownFailures);
    expect(count).toBe(478);
  },
  60_000,
);

describe("differenceOf", () => {
  const f32 = (...data: number[]) => tensor("f32", [data.length], data);
  test("floats are equal within ONNX's tolerances, NaN equals NaN", () => {
    expect(differenceOf(f32(1.0005, Number.NaN, Infinity), f32(1, Number.NaN, Infinity))).toBeUndefined();
    expect(differenceOf(f32(1, 1.002), f32(1, 1))).toContain("has 1 of 2 elements wrong, the first at 1");
    expect(differenceOf(f32(0), f32(Number.NaN))).toBeDefined();
    expect(differenceOf(f32(0), f32(Infinity))).toBeDefined();
  });
  test("integers, types and shapes must be the same", () => {
    expect(differenceOf(tensor("i64", [1], [10001]), tensor("i64", [1], [10000]))).toBeDefined();
    expect(differenceOf(tensor("i32", [1], [1]), tensor("i64", [1], [1]))).toBe(
      "is i32[1] instead of i64[1]",
    );
    expect(differenceOf(tensor("f32", [1, 1], [1]), f32(1))).toBe("is f32[1, 1] instead of f32[1]");
  });
});
