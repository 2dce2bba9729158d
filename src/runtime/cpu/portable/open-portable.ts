import * as diagnostics from "../../../diagnostics.ts";
import { BitnetcError } from "../../../errors.ts";
import { readRange, type Segment, sha256Of } from "../../../serialize/blob.ts";
import { refuseCorrupt } from "../../../serialize/checked-buffer.ts";
import { describeProgram } from "../../../serialize/describe-program.ts";
import type { OpenProgram } from "../../../serialize/open-program.ts";
import type { ProgramMethod } from "../../../serialize/program.ts";
import type { ProgramFile } from "../../../serialize/program-reader.ts";
import { decodeElements, elementCount, type Tensor } from "../../../tensor/tensor.ts";
import type { Executor } from "../../executor.ts";
import { type DelegateCalls, resolveDelegateCalls } from "../vulkan/delegate-calls.ts";
import { type Delegate, loadDelegates, readDelegates } from "../vulkan/delegates.ts";
import { statesOf } from "../vulkan/resolve-graph.ts";
import { type Calls, resolveCalls } from "./calls.ts";
import { createExecutor } from "./executor.ts";
import { type DataRange, layTensors, type TensorLayout } from "./layout.ts";
import { signatureOf, tensorsOf } from "./signature.ts";
import { findStates, type State } from "./states.ts";
import { TensorCell } from "./tensor-cell.ts";
import type { Content } from "./values.ts";

/**
 * A program whose method calls operators of ExecuTorch's kernel libraries, or delegates of its Vulkan backend.
 * @throws BitnetcError `operator-missing` for every operator that there is no kernel for, `program-corrupt` for what
 * ExecuTorch's runtime would refuse too, `vulkan-corrupt`, `program-hash`, `program-backend` when there is no such
 * method or it has other delegates
 */
export async function openPortable(file: ProgramFile, name: string): Promise<OpenProgram> {
  const { source } = file;
  const description = describeProgram(file);
  const method = description.methods.find((each) => each.name === name);
  if (method === undefined) throw new BitnetcError(diagnostics.programBackend(source.name, []));
  const delegates = await readDelegates(file, name);
  const layouts = refuseCorrupt(source.name, () => layTensors(description, method));
  const { calls, delegateCalls } = callsOf(source.name, method, layouts, delegates);
  const { constants } = file;
  const [capacity] = [constants.get("get_max_context_len") ?? constants.get("get_max_seq_len")].flat();
  const room = typeof capacity === "number" ? capacity : undefined;
  const planned = findStates(method, layouts, calls, delegateCalls, room);
  const kept = delegateStates(delegates);
  const graph = signatureOf(method, layouts, [...planned, ...kept]);
  const ranges = new Map<string, Segment>(file.namedData);
  for (const { data } of layouts.values())
    if (data !== undefined) ranges.set(keyOf(data), rangeOf(file, data));
  for (const { key, data } of delegates) ranges.set(key, data);
  const expected = new Map(delegates.flatMap((each) => [...each.hashes]));
  const read = async (key: string): Promise<Uint8Array<ArrayBuffer>> => {
    const bytes = await readRange(source.name, ranges.get(key)!);
    const sha256 = expected.get(key);
    if (sha256 !== undefined && (await sha256Of(bytes)) !== sha256)
      throw new BitnetcError(diagnostics.programHash(source.name, key));
    return bytes;
  };
  return {
    file,
    graph,
    sha256: await sha256Of(new Uint8Array(file.front)),
    blobs: new Map([...ranges].map(([key, { size }]) => [key, { key, size }])),
    async *chunks(key) {
      yield await read(key);
    },
    blob: read,
    async execute(program): Promise<Executor> {
      const { data, hashes } = await loadData(layouts, program);
      const { loaded, hashes: ofDelegates } = await loadDelegates(delegates, program);
      const parts = [program.sha256, ...hashes, ...ofDelegates];
      const identity = await sha256Of(new TextEncoder().encode(parts.join()));
      const contents = fillMemory(source.name, method, layouts, calls, data);
      const initial = new Map([...data].filter(([value]) => layouts.get(value)!.place !== undefined));
      const values = { declared: method.values, contents };
      return createExecutor({
        ...{ method, layouts, calls, delegateCalls, delegates: loaded },
        ...{ graph, planned, kept, values, initial, identity },
      });
    },
  };
}

/** @throws BitnetcError for what is wrong with the instructions and the graphs of delegates, all of it */
function callsOf(
  at: string,
  method: ProgramMethod,
  layouts: ReadonlyMap<number, TensorLayout>,
  delegates: readonly Delegate[],
): { readonly calls: Calls; readonly delegateCalls: DelegateCalls } {
  const { calls, faults } = resolveCalls(method, layouts);
  const { calls: delegateCalls, faults: ofDelegateCalls } = resolveDelegateCalls(method, layouts, delegates);
  const ofDelegates = delegates.map((delegate) => delegate.faults);
  const missing = [faults, ...ofDelegates].flatMap((each) => [...each.missing]);
  const malformed = [
    ...faults.malformed,
    ...ofDelegates.flatMap((each) => each.malformed),
    ...ofDelegateCalls,
  ];
  if (missing.length > 0)
    throw new BitnetcError(missing.map(([name, source]) => diagnostics.operatorMissing(name, source)));
  if (malformed.length > 0)
    throw new BitnetcError(malformed.map((fault) => diagnostics.programCorrupt(at, fault)));
  return { calls, delegateCalls };
}

/** What delegates keep: caches [1, C, H, D], in which a position is a row of all heads. */
function delegateStates(delegates: readonly Delegate[]): readonly State[] {
  return delegates.flatMap(({ name, resolved }) =>
    statesOf(resolved).map(({ dtype, bound }, i) => {
      const [, positions, heads, width] = bound as [number, number, number, number];
      const rows = [1, 1, positions, heads * width] as const;
      return { name: `cache ${i} of ${name}`, dtype, shape: bound, rows };
    }),
  );
}

/** What progress and checks call a part of a segment. */
const keyOf = ({ segment, offset, size }: DataRange): string => `segment ${segment}[${offset}+${size}]`;

function rangeOf({ segments }: ProgramFile, { segment, offset, size }: DataRange): Segment {
  const { id, read } = segments[segment]!;
  return {
    id: `${id}[${offset}+${size}]`,
    size,
    padding: 0,
    read: (from, to) => read(offset + from, offset + to),
  };
}

/** The elements of constants and what planned tensors begin with, by value, and hashes of them. */
async function loadData(
  layouts: ReadonlyMap<number, TensorLayout>,
  program: OpenProgram,
): Promise<{ readonly data: ReadonlyMap<number, Tensor>; readonly hashes: readonly string[] }> {
  const loaded = new Map<string, Tensor>();
  const byValue = new Map<number, Tensor>();
  const hashes: string[] = [];
  for (const [value, { data, dtype, shape }] of layouts) {
    if (data === undefined) continue;
    const key = `${keyOf(data)} ${dtype}`;
    if (!loaded.has(key)) {
      const bytes = await program.blob(keyOf(data));
      hashes.push(await sha256Of(bytes));
      loaded.set(key, { dtype, shape, data: decodeElements(dtype, bytes, elementCount(shape)) });
    }
    byValue.set(value, { ...loaded.get(key)!, shape });
  }
  return { data: byValue, hashes };
}

/** What each value holds before the first call: planned tensors lie where the program says, and begin with zeros. */
function fillMemory(
  at: string,
  method: ProgramMethod,
  layouts: ReadonlyMap<number, TensorLayout>,
  calls: Calls,
  data: ReadonlyMap<number, Tensor>,
): Content[] {
  const callers = new Set([...tensorsOf(method.inputs, layouts), ...tensorsOf(method.outputs, layouts)]);
  const views = new Set(
    [...calls.values()].flatMap(({ name, args }) => (name === viewOperator ? [args[2]!] : [])),
  );
  return refuseCorrupt(at, () => {
    const buffers = method.bufferSizes.map((size) => new ArrayBuffer(size));
    return method.values.map((value, i): Content => {
      switch (value.type) {
        case "Null":
          return null;
        case "Int":
        case "Double":
          return Number(value.value);
        case "Bool":
        case "String":
          return value.value;
        case "Tensor":
          break;
        case "DoubleList":
          return value.items.map(Number);
        default:
          return value.items;
      }
      const { dtype, shape, isDynamic, place } = layouts.get(i)!;
      const constant = data.get(i);
      if (place === undefined && constant !== undefined) return TensorCell.constant(constant);
      if (place === undefined && views.has(i)) return new TensorCell(dtype, shape, isDynamic);
      if (place === undefined && !callers.has(i)) throw new RangeError(`tensor ${i} has no memory`);
      const own = () => ({ buffer: new ArrayBuffer(8 * elementCount(shape)), offset: 0 });
      const cell = new TensorCell(
        dtype,
        shape,
        isDynamic,
        place === undefined ? own() : { buffer: buffers[place.memory]!, offset: place.offset },
      );
      if (constant !== undefined) cell.write(constant);
      return cell;
    });
  });
}

const viewOperator = "executorch_prim::et_view.default";
