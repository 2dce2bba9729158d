import type { ProgramMethod } from "../../../serialize/program.ts";
import { type Dim, symbol } from "../../../tensor/dim.ts";
import type { ProgramGraph } from "../../graph.ts";
import type { TensorLayout } from "./layout.ts";
import type { State } from "./states.ts";

/**
 * A method's inputs, outputs and states as those of a graph without nodes. Inputs and outputs without a name have the
 * names that language models' have if they look like those: `tokens` i64 [1, S], `start_pos` i64 [1] and `logits`.
 * Values that are no tensors are left out: the runtime takes none but those it was compiled for.
 */
export function signatureOf(
  method: ProgramMethod,
  layouts: ReadonlyMap<number, TensorLayout>,
  states: readonly State[],
): ProgramGraph {
  const graphValues: { dtype: TensorLayout["dtype"]; shape: readonly Dim[] }[] = [];
  const add = (dtype: TensorLayout["dtype"], shape: readonly Dim[]): number =>
    graphValues.push({ dtype, shape }) - 1;
  const inputs = tensorsOf(method.inputs, layouts);
  const outputs = tensorsOf(method.outputs, layouts);
  /** The first input's, by their bounds. */
  const symbols = new Map<number, Dim>();
  let count = 0;
  const looksLikeModel = isModel(
    inputs.map((value) => layouts.get(value)!),
    outputs.length,
  );
  const inputNames = names(inputs, layouts, looksLikeModel ? ["tokens", "start_pos"] : [], "input");
  const outputNames = names(outputs, layouts, looksLikeModel ? ["logits"] : [], "output");
  return {
    values: graphValues,
    inputs: inputs.map((value, i) => {
      const { dtype, shape, isDynamic } = layouts.get(value)!;
      const sizes = shape.map((bound): Dim => {
        if (!isDynamic || bound <= 1) return bound;
        const size = symbol(`s${count++}`, bound, 1);
        if (!symbols.has(bound)) symbols.set(bound, size);
        return size;
      });
      return { name: inputNames[i]!, value: add(dtype, sizes) };
    }),
    // What the sizes of an output depend on, a program does not say: those with the bound of an input's are taken to
    // be the same, but for rows.
    outputs: outputs.map((value, i) => {
      const { dtype, shape, isDynamic } = layouts.get(value)!;
      const sizes = shape.map((bound, axis) =>
        isDynamic && (axis < shape.length - 1 || axis === 0) ? (symbols.get(bound) ?? bound) : bound,
      );
      return { name: outputNames[i]!, value: add(dtype, sizes) };
    }),
    states: states.map(({ name, dtype, shape, rows }) => ({ name, value: add(dtype, rows ?? shape) })),
    constants: [],
    dims: [],
    nodes: [],
  };
}

/** Those of the values that are tensors. */
export const tensorsOf = (
  values: readonly number[],
  layouts: ReadonlyMap<number, TensorLayout>,
): readonly number[] => values.filter((value) => layouts.has(value));

function isModel([tokens, position, ...more]: readonly TensorLayout[], outputCount: number): boolean {
  const isPosition = position === undefined || (position.dtype === "i64" && position.shape.join() === "1");
  const isTokens = tokens?.dtype === "i64" && tokens.shape.length === 2 && tokens.shape[0] === 1;
  return isTokens && isPosition && more.length === 0 && outputCount === 1;
}

/** The names that values have, else usual ones, else numbered ones; no two are the same. */
function names(
  values: readonly number[],
  layouts: ReadonlyMap<number, TensorLayout>,
  usual: readonly string[],
  otherwise: string,
): readonly string[] {
  const given = values.map((value, i) => layouts.get(value)!.name || (usual[i] ?? `${otherwise}${i}`));
  return new Set(given).size === given.length ? given : given.map((_, i) => usual[i] ?? `${otherwise}${i}`);
}
