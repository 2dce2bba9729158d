import { expect } from "vitest";
import type { OptionsInput } from "../../../src/options.ts";
import { compareWithImported, type ExportedModel, type Recognised } from "./run.ts";

export interface Expectation {
  readonly tolerance?: number;
  readonly options?: OptionsInput;
  readonly script?: readonly (readonly number[])[];
}

/** Expects a compiled model to compute what it computed as it was imported, over a prompt and several steps. */
export async function expectAgreement(
  model: ExportedModel,
  recognised: Recognised,
  { tolerance = 1e-4, options, script }: Expectation = {},
): Promise<void> {
  const packed = await recognised.finish();
  const { difference, isSameChoice } = await compareWithImported(model, packed, options, script);
  expect(difference).toBeLessThan(tolerance);
  expect(isSameChoice).toBe(true);
}
