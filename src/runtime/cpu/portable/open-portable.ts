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
import { type Calls, resolveCalls } from "./calls.ts";
import { createExecutor } from "./executor.ts";
import { type DataRange, layTensors, type TensorLayout } from "./layout.ts";
import { signatureOf, tensorsOf } from "./signature.ts";
import { findStates } from "./states.ts";
import { TensorCell } from "./tensor-cell.ts";
import type { Content } from "./values.ts";

/**
 * A program without delegates, whose method calls operators of ExecuTorch's kernel libraries.
 * @throws BitnetcError `operator-missing` for every operator that there is no kernel for, `program-corrupt` for what
 * ExecuTorch's runtime would refuse too, `program-backend` when there is no such method
 */
export async function openPortable(file: ProgramFile, name: string): Promise<OpenProgram> {
  const { source } = file;
  const description = describeProgram(file);
  const method = description.methods.find((each) => each.name === name);
  if (method === undefined) throw new BitnetcError(diagnostics.programBackend(source.name, []));
  const layouts = refuseCorrupt(source.name, () => layTensors(description, method));
  const calls = callsOf(source.name, method, layouts);
  const { constants } = file;
  const [capacity] = [constants.get("get_max_context_len") ?? constants.get("get_max_seq_len")].flat();
  const states = findStates(method, layouts, calls, typeof capacity === "number" ? capacity : undefined);
  const graph = signatureOf(method, layouts, states);
  const ranges = new Map<string, Segment>(file.namedData);
  for (const { data } of layouts.values())
    if (data !== undefined) ranges.set(keyOf(data), rangeOf(file, data));
  return {
    file,
    graph,
    sha256: await sha256Of(new Uint8Array(file.front)),
    blobs: new Map([...ranges].map(([key, { size }]) => [key, { key, size }])),
    async *chunks(key) {
      yield await readRange(source.name, ranges.get(key)!);
    },
    blob: (key) => readRange(source.name, ranges.get(key)!),
    async execute(program): Promise<Executor> {
      const { data, identity } = await loadData(layouts, program);
      const contents = fillMemory(source.name, method, layouts, calls, data);
      const initial = new Map([...data].filter(([value]) => layouts.get(value)!.place !== undefined));
      const values = { declared: method.values, contents };
      return createExecutor({ method, layouts, calls, graph, states, values, initial, identity });
    },
  };
}

/** @throws BitnetcError for what is wrong with the instructions, all of it */
function callsOf(at: string, method: ProgramMethod, layouts: ReadonlyMap<number, TensorLayout>): Calls {
  const { calls, faults } = resolveCalls(method, layouts);
  const { missing, malformed } = faults;
  if (missing.size > 0)
    throw new BitnetcError([...missing].map(([name, source]) => diagnostics.operatorMissing(name, source)));
  if (malformed.length > 0)
    throw new BitnetcError(malformed.map((fault) => diagnostics.programCorrupt(at, fault)));
  return calls;
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

/** The elements of constants and what planned tensors begin with, by value, and a hash of them and the head. */
async function loadData(
  layouts: ReadonlyMap<number, TensorLayout>,
  program: OpenProgram,
): Promise<{ readonly data: ReadonlyMap<number, Tensor>; readonly identity: string }> {
  const loaded = new Map<string, Tensor>();
  const byValue = new Map<number, Tensor>();
  const hashes = [program.sha256];
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
  return { data: byValue, identity: await sha256Of(new TextEncoder().encode(hashes.join())) };
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
