import * as diagnostics from "../diagnostics.ts";
import { BitnetcError, type Diagnostic } from "../errors.ts";
import { dimKey } from "../tensor/dim.ts";
import { elementCount, type Tensor } from "../tensor/tensor.ts";
import type { ProgramGraph } from "./graph.ts";
import { type SizeFact, type Sizes, solveSizes } from "./sizes.ts";

interface InputFact extends SizeFact {
  readonly input: string;
  /** What of the input: `size 3 on axis 1`. */
  readonly what: string;
}

/**
 * Checks the inputs of a run, and finds from their shapes and elements the values of the symbols in a graph.
 * @throws BitnetcError `program-input` with everything that is wrong with them
 */
export function bindInputs(graph: ProgramGraph, inputs: Readonly<Record<string, Tensor>>): Sizes {
  const wrong: Diagnostic[] = [];
  const facts: InputFact[] = [];
  for (const { name, value, contents } of graph.inputs) {
    const given = inputs[name];
    const { dtype, shape } = graph.values[value]!;
    if (given === undefined) wrong.push(diagnostics.programInput(name, "is missing"));
    else if (given.dtype !== dtype)
      wrong.push(diagnostics.programInput(name, `is ${given.dtype}, but must be ${dtype}`));
    else if (given.shape.length !== shape.length) {
      const expected = shape.map(dimKey).join(", ");
      wrong.push(diagnostics.programInput(name, `is [${given.shape.join(", ")}], but must be [${expected}]`));
    } else if (given.data.length !== elementCount(given.shape)) {
      const held = `holds ${given.data.length} elements`;
      wrong.push(diagnostics.programInput(name, `is [${given.shape.join(", ")}], but ${held}`));
    } else {
      shape.forEach((size, axis) => {
        const actual = given.shape[axis]!;
        facts.push({ size, actual, input: name, what: `size ${actual} on axis ${axis}` });
      });
      contents?.forEach((size, i) => {
        const actual = given.data[i] ?? 0;
        facts.push({ size, actual, input: name, what: `the element ${actual} at ${i}` });
      });
    }
  }
  const names = graph.inputs.map(({ name }) => name);
  for (const name of Object.keys(inputs))
    if (!names.includes(name))
      wrong.push(diagnostics.programInput(name, `is not one of ${names.join(", ")}`));
  const sizes: Sizes = new Map();
  for (const { fact, expected } of solveSizes(facts, sizes))
    wrong.push(diagnostics.programInput(fact.input, `has ${fact.what}, but must have ${expected}`));
  if (wrong.length > 0) throw new BitnetcError(wrong);
  return sizes;
}
