import type { ProgramMethod } from "../../../serialize/program.ts";
import type { DType } from "../../../tensor/dtype.ts";
import { elementCount } from "../../../tensor/tensor.ts";
import type { DelegateCalls } from "../vulkan/delegate-calls.ts";
import { type Calls, sizeOf, tensorsIn } from "./calls.ts";
import type { TensorLayout } from "./layout.ts";

/** A tensor that keeps its elements from call to call. */
export interface State {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** [1, n, positions, m], of the tensor's elements in their order; absent when no axis is of positions. */
  readonly rows?: readonly [1, number, number, number];
}

/** One that the program plans. */
export interface PlannedState extends State {
  readonly value: number;
}

/**
 * The planned tensors of a method that are read before they are written, or have a name and are neither input nor
 * output. Of those at one place, one with a name.
 * @param capacity positions that a program has room for
 */
export function findStates(
  method: ProgramMethod,
  layouts: ReadonlyMap<number, TensorLayout>,
  calls: Calls,
  delegateCalls: DelegateCalls,
  capacity: number | undefined,
): readonly PlannedState[] {
  const placeOf = (value: number): string | undefined => {
    const place = layouts.get(value)?.place;
    return place && `${place.memory}:${place.offset}`;
  };
  /** For each place that is written, where that ends. */
  const written = new Map<string, { memory: number; from: number; to: number }>();
  const write = (value: number) => {
    const layout = layouts.get(value);
    if (layout?.place === undefined) return;
    const { memory, offset: from } = layout.place;
    const to = Math.max(from + sizeOf(layout), written.get(placeOf(value)!)?.to ?? 0);
    written.set(placeOf(value)!, { memory, from, to });
  };
  const isWritten = (value: number): boolean => {
    const place = layouts.get(value)?.place;
    if (place === undefined || written.has(placeOf(value)!)) return true;
    const { memory, offset } = place;
    return [...written.values()].some(
      (range) => range.memory === memory && range.from <= offset && offset < range.to,
    );
  };
  for (const value of method.inputs) write(value);
  const kept = new Map<string, number>();
  const keep = (value: number) => {
    const place = placeOf(value);
    if (place === undefined) return;
    const known = kept.get(place);
    if (known === undefined || layouts.get(known)!.name === "") kept.set(place, value);
  };
  for (const { instructions } of method.chains) {
    for (const instruction of instructions) {
      const delegateCall = delegateCalls.get(instruction);
      for (const value of delegateCall?.inputs ?? []) if (!isWritten(value)) keep(value);
      for (const value of delegateCall?.outputs ?? []) write(value);
      const call = calls.get(instruction);
      if (call === undefined) continue;
      const { args, operator } = call;
      operator.params.forEach((_, i) => {
        if (operator.writes.includes(i) && !operator.changes.includes(i)) return;
        for (const value of tensorsIn(args[i]!, method.values)) if (!isWritten(value)) keep(value);
      });
      for (const i of operator.writes) write(args[i]!);
    }
  }
  const outside = new Set([...method.inputs, ...method.outputs]);
  for (const [value, { name }] of layouts) if (name !== "" && !outside.has(value)) keep(value);
  return [...kept.values()].map((value) => {
    const { name, dtype, shape } = layouts.get(value)!;
    const axis = shape[2] === capacity ? 2 : shape.indexOf(capacity ?? -1);
    const rows =
      axis < 0
        ? undefined
        : ([1, elementCount(shape.slice(0, axis)), capacity!, elementCount(shape.slice(axis + 1))] as const);
    return { name: name || `value ${value}`, value, dtype, shape, ...(rows && { rows }) };
  });
}
