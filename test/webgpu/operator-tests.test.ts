import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { failureOf, operatorTests } from "../onnx/operator-tests.ts";
import { testDevice } from "../support/gpu.ts";

const archive = fileURLToPath(new URL("../data/onnx-node-tests.tar.br", import.meta.url));

/** Tests that are known to fail, each with its reason. */
const knownFailures: Readonly<Record<string, string>> = {
  // log(1 + e^x) for x near -8: WGSL's log is exact to 2^-21 there, in absolute terms
  test_mish_expanded: expect.stringMatching(/ of 10000 elements wrong/),
  test_training_dropout_mask: "onnx-unsupported: Dropout: training mode drops elements at random.",
};

test("ONNX's operator tests pass where the GPU takes the graph", async () => {
  const device = await testDevice();
  const failures: Record<string, string> = {};
  let passed = 0;
  for await (const operatorTest of operatorTests(archive)) {
    const failure = await failureOf(operatorTest, { device });
    if (failure === undefined) passed++;
    else if (!failure.startsWith("device-unavailable")) failures[operatorTest.name] = failure;
  }
  device.destroy();
  expect(failures).toEqual(knownFailures);
  expect(passed).toBeGreaterThan(250);
}, 600_000);
