import * as diagnostics from "../../../diagnostics.ts";
import { BitnetcError } from "../../../errors.ts";
import type { ProgramInstruction, ProgramMethod } from "../../../serialize/program.ts";
import { type Tensor, tensor } from "../../../tensor/tensor.ts";
import { type Executor, takesTurns } from "../../executor.ts";
import type { ProgramGraph } from "../../graph.ts";
import { bindInputs } from "../../inputs.ts";
import { elementwiseKernels } from "../kernels/elementwise.ts";
import type { DelegateCall, DelegateCalls } from "../vulkan/delegate-calls.ts";
import type { LoadedGraph } from "../vulkan/load-graph.ts";
import type { Calls } from "./calls.ts";
import type { TensorLayout } from "./layout.ts";
import { tensorsOf } from "./signature.ts";
import type { PlannedState, State } from "./states.ts";
import type { TensorCell } from "./tensor-cell.ts";
import type { Values } from "./values.ts";

/** A method whose values are in memory. */
interface LoadedMethod {
  readonly method: ProgramMethod;
  readonly layouts: ReadonlyMap<number, TensorLayout>;
  readonly calls: Calls;
  readonly delegateCalls: DelegateCalls;
  readonly delegates: readonly LoadedGraph[];
  readonly graph: ProgramGraph;
  readonly planned: readonly PlannedState[];
  /** Those of delegates, in their order. */
  readonly kept: readonly State[];
  readonly values: Values;
  /** What planned tensors hold at first, by value. */
  readonly initial: ReadonlyMap<number, Tensor>;
  readonly identity: string;
}

/** Runs a method's instructions one after another, each on the memory that the program plans for it. */
export function createExecutor(loaded: LoadedMethod): Executor {
  const { method, layouts, graph, delegates, planned, kept, values, initial } = loaded;
  const inputs = tensorsOf(method.inputs, layouts);
  const outputs = tensorsOf(method.outputs, layouts);
  const cell = (value: number) => values.contents[value] as TensorCell;
  const chains = method.chains.map(({ instructions }) => instructions.map((each) => stepOf(each, loaded)));
  const holders = new Map<State, Holder>([
    ...planned.map((state) => [state, () => cell(state.value)] as const),
    ...delegates
      .flatMap(({ states }) =>
        states.map(
          (_, i): Holder =>
            () =>
              states[i]!,
        ),
      )
      .map((holder, i) => [kept[i]!, holder] as const),
  ]);
  const stateRows = (name: string) => {
    const [state, holder] = [...holders].find(([each]) => each.name === name)!;
    if (state.rows === undefined)
      throw new BitnetcError(diagnostics.kvSnapshot(`its state ${name} has no axis of positions`));
    return { holder: holder(), shape: state.rows };
  };
  return {
    device: "cpu",
    identity: loaded.identity,
    run: takesTurns((given) => {
      bindInputs(graph, given);
      inputs.forEach((value, i) => {
        cell(value).write(given[graph.inputs[i]!.name]!);
      });
      for (const chain of chains) runChain(chain);
      return Object.fromEntries(
        outputs.map((value, i) => {
          const held = cell(value).tensor;
          return [graph.outputs[i]!.name, { ...held, data: held.data.slice() }];
        }),
      );
    }),
    async readState(name, length) {
      const { holder, shape } = stateRows(name);
      const { dtype, data } = holder.tensor;
      const rows = tensor(dtype, shape.with(2, length));
      copyRows(data, shape[2], rows.data, length, shape, length);
      return rows;
    },
    async writeState(name, rows) {
      const { holder, shape } = stateRows(name);
      const held = holder.tensor;
      const length = rows.shape[2]!;
      copyRows(rows.data, length, held.data, shape[2], shape, length);
      holder.write(held);
    },
    reset() {
      for (const { value, dtype, shape } of planned)
        cell(value).write(initial.get(value) ?? tensor(dtype, shape));
      for (const delegate of delegates) delegate.reset();
    },
    dispose() {
      values.contents.length = 0;
      for (const delegate of delegates) delegate.dispose();
    },
  };
}

/** Gives what holds a state's elements. */
type Holder = () => { readonly tensor: Tensor; write(tensor: Tensor): void };

/** Copies the first `length` rows of each group from data with `fromRows` of them to data with `toRows`. */
function copyRows(
  from: Tensor["data"],
  fromRows: number,
  to: Tensor["data"],
  toRows: number,
  [, groups, , width]: NonNullable<State["rows"]>,
  length: number,
): void {
  for (let i = 0; i < groups; i++) {
    const start = i * fromRows * width;
    to.set(from.subarray(start, start + length * width), i * toRows * width);
  }
}

/** Gives the number of the next instruction when it is not the one that follows. */
type Step = () => number | undefined;

/** As many as ExecuTorch's runtime executes in a call. */
const stepLimit = 10_000_000;

function runChain(steps: readonly Step[]): void {
  let at = 0;
  for (let count = 0; at < steps.length; count++) {
    if (count === stepLimit)
      throw new BitnetcError(diagnostics.runFailed("forward", "Its instructions do not end.", "a jump"));
    at = steps[at]!() ?? at + 1;
  }
}

function stepOf(instruction: ProgramInstruction, loaded: LoadedMethod): Step {
  const { calls, delegateCalls, values } = loaded;
  const { contents } = values;
  switch (instruction.type) {
    case "KernelCall": {
      const { name, operator, args, source } = calls.get(instruction)!;
      return () => naming(name, source, () => operator.run(values, args));
    }
    case "MoveCall":
      return () => {
        contents[instruction.to] = contents[instruction.from]!;
        return undefined;
      };
    case "JumpFalseCall":
      return () => {
        const condition = contents[instruction.condition];
        const holds =
          typeof condition === "boolean" ? condition : (condition as TensorCell).tensor.data[0] !== 0;
        return holds ? undefined : instruction.destination;
      };
    case "FreeCall":
      return () => undefined;
    case "DelegateCall": {
      const call = delegateCalls.get(instruction)!;
      return () => naming(call.name, call.source, () => runDelegate(call, loaded));
    }
  }
}

/** Makes a RangeError the user's error. */
function naming(name: string, source: string, work: () => void): undefined {
  try {
    work();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new BitnetcError(diagnostics.runFailed(name, error.message, source), { cause: error });
  }
}

function runDelegate({ delegate, inputs, outputs }: DelegateCall, { delegates, values }: LoadedMethod): void {
  const { contents } = values;
  const given = inputs.map((value) => {
    const content = contents[value] as TensorCell | number;
    return typeof content === "number" ? content : content.tensor;
  });
  const results = delegates[delegate]!.run(given);
  outputs.forEach((value, i) => {
    const target = contents[value] as TensorCell;
    target.write(elementwiseKernels.cast({ x: results[i]! }, { to: target.dtype })[0]!);
  });
}
