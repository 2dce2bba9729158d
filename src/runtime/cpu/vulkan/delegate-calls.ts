import type { ProgramInstruction, ProgramMethod } from "../../../serialize/program.ts";
import type { VulkanGraph } from "../../../serialize/vulkan-graph.ts";
import type { DType } from "../../../tensor/dtype.ts";
import type { TensorLayout } from "../portable/layout.ts";
import type { Delegate } from "./delegates.ts";
import { dtypeOf } from "./graph-tensor.ts";

/** A call of a delegate, with values of the method. */
export interface DelegateCall {
  readonly name: string;
  readonly delegate: number;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Where it is in the program. */
  readonly source: string;
}

export type DelegateCalls = ReadonlyMap<ProgramInstruction, DelegateCall>;

/** Resolves every call of a delegate that a method has; faults are half sentences. */
export function resolveDelegateCalls(
  method: ProgramMethod,
  layouts: ReadonlyMap<number, TensorLayout>,
  delegates: readonly Delegate[],
): { readonly calls: DelegateCalls; readonly faults: readonly string[] } {
  const calls = new Map<ProgramInstruction, DelegateCall>();
  const faults: string[] = [];
  method.chains.forEach(({ instructions }) => {
    instructions.forEach((instruction, i) => {
      if (instruction.type !== "DelegateCall") return;
      const { name, resolved } = delegates[instruction.delegate]!;
      const source = `instruction ${i} of ${method.name}`;
      const { inputs, outputs } = resolved.graph;
      const { args } = instruction;
      const expected = inputs.length + outputs.length;
      if (args.length !== expected) {
        faults.push(`${source} calls ${name} with ${args.length} arguments in place of ${expected}`);
        return;
      }
      const call = {
        name,
        delegate: instruction.delegate,
        inputs: args.slice(0, inputs.length),
        outputs: args.slice(inputs.length),
        source,
      };
      for (const [j, arg] of args.entries()) {
        const isInput = j < inputs.length;
        const port = isInput ? inputs[j]! : outputs[j - inputs.length]!;
        const fault = portFault(method, layouts, arg, resolved.graph, port, isInput);
        if (fault !== undefined) faults.push(`${source} calls ${name} with ${fault} as argument ${j}`);
      }
      calls.set(instruction, call);
    });
  });
  return { calls, faults };
}

/** The types that the runtime converts between the program and the graph, besides those that are the same. */
const conversions: readonly string[] = ["i64 i32", "f64 f32", "f16 f32"];

function portFault(
  method: ProgramMethod,
  layouts: ReadonlyMap<number, TensorLayout>,
  arg: number,
  graph: VulkanGraph,
  port: number,
  isInput: boolean,
): string | undefined {
  const layout = layouts.get(arg);
  const { type } = method.values[arg]!;
  const value = graph.values[port]!;
  if (value.type === "SymInt") {
    const isInt = layout === undefined ? type === "Int" : ["i32", "i64"].includes(layout.dtype);
    return isInt ? undefined : `${layout?.dtype ?? type} for an integer`;
  }
  if (value.type !== "VkTensor" || layout === undefined) return `${type} for ${value.type}`;
  const { dataType, stagingDataType, dims } = value;
  const staged = dtypeOf(stagingDataType === "UNSET" ? dataType : stagingDataType) as DType;
  if (layout.dtype !== staged && !conversions.includes(`${layout.dtype} ${staged}`))
    return `${layout.dtype} for ${staged}`;
  if (layout.shape.length !== dims.length) return `${layout.shape.length} axes for ${dims.length}`;
  if (!isInput && layout.data !== undefined && layout.place === undefined) return "a constant for a result";
  return undefined;
}
