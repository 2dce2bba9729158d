import type { ProgramDescription } from "../../../serialize/describe-program.ts";
import { scalarTypes } from "../../../serialize/methods.ts";
import type { ProgramMethod, SubsegmentTable, TensorTable } from "../../../serialize/program.ts";
import type { DType } from "../../../tensor/dtype.ts";
import { byteLength, elementCount } from "../../../tensor/tensor.ts";

/** Bytes of a segment. */
export interface DataRange {
  readonly segment: number;
  readonly offset: number;
  readonly size: number;
}

/** A tensor value of a method, and where its elements are. */
export interface TensorLayout {
  readonly name: string;
  readonly dtype: DType;
  /** Where the shape is dynamic, the largest. */
  readonly shape: readonly number[];
  readonly isDynamic: boolean;
  /** Planned: a place in the buffer `memory`. */
  readonly place?: { readonly memory: number; readonly offset: number };
  /** What a constant holds always, and a planned tensor at first. */
  readonly data?: DataRange;
}

/**
 * Checks what the runtime checks as it loads a method, and gives the layout of each tensor value by its index.
 * @throws RangeError with half a sentence
 */
export function layTensors(
  program: ProgramDescription,
  method: ProgramMethod,
): ReadonlyMap<number, TensorLayout> {
  if ((program.constantSegment?.offsets.length ?? 0) === 0)
    throw new RangeError("it lacks a constant segment");
  if (method.bufferSizes.length === 0)
    throw new RangeError(`it lacks the sizes of buffers of ${method.name}`);
  if (method.chains.length === 0) throw new RangeError(`${method.name} has no instructions`);
  const layouts = new Map<number, TensorLayout>();
  method.values.forEach((value, i) => {
    if (value.type === "Tensor") layouts.set(i, layTensor(program, method, value, `tensor ${i}`));
  });
  return layouts;
}

const dtypes: ReadonlyMap<TensorTable["scalarType"], DType> = new Map(
  Object.entries(scalarTypes).map(([dtype, type]) => [type, dtype as DType]),
);

function layTensor(
  program: ProgramDescription,
  { bufferSizes }: ProgramMethod,
  table: TensorTable,
  what: string,
): TensorLayout {
  const { sizes, dimOrder, dynamism, allocation, dataBuffer, extra } = table;
  const dtype = dtypes.get(table.scalarType);
  const refuse = (why: string) => new RangeError(`${what} ${why}`);
  if (dtype === undefined) throw refuse(`is of the type ${table.scalarType}`);
  if (sizes.length > maxRank) throw refuse(`has ${sizes.length} axes`);
  if (sizes.some((size) => size < 0)) throw refuse(`is [${sizes.join(", ")}]`);
  if (dimOrder.length !== sizes.length || dimOrder.some((axis, i) => axis !== i))
    throw refuse(`has its axes in the order [${dimOrder.join(", ")}]`);
  if (dynamism !== "STATIC" && dynamism !== "DYNAMIC_BOUND") throw refuse(`has a shape that is ${dynamism}`);
  if (table.storageOffset !== 0 || table.layout !== 0) throw refuse("is not dense");
  if (extra !== undefined && extra.location !== "SEGMENT") throw refuse("is in another file");
  const size = byteLength(dtype, elementCount(sizes));
  const layout = { name: extra?.name ?? "", dtype, shape: sizes, isDynamic: dynamism === "DYNAMIC_BOUND" };
  const data =
    dataBuffer === 0
      ? undefined
      : dataRange(
          program,
          allocation ? program.mutableSegments[0] : program.constantSegment,
          dataBuffer,
          size,
          what,
        );
  if (allocation !== undefined) {
    const { memory, offset } = allocation;
    if (!(memory > 0 && memory < bufferSizes.length)) throw refuse(`is in the buffer ${memory}`);
    if (offset + size > bufferSizes[memory]!)
      throw refuse(`ends at ${offset + size} of the ${bufferSizes[memory]} bytes of buffer ${memory}`);
    const step = byteLength(dtype, 1);
    if (offset % step !== 0) throw refuse(`is at ${offset}, which is no multiple of ${step}`);
  }
  return {
    ...layout,
    ...(allocation && { place: allocation }),
    ...(data && { data }),
  };
}

const maxRank = 16;

function dataRange(
  { segments }: ProgramDescription,
  table: SubsegmentTable | undefined,
  entry: number,
  size: number,
  what: string,
): DataRange {
  const offset = table?.offsets[entry];
  const held = segments[table?.segment ?? -1]?.size;
  if (offset === undefined || held === undefined) throw new RangeError(`${what} has no data ${entry}`);
  if (offset + size > held)
    throw new RangeError(`${what} ends at ${offset + size} of a segment of ${held} bytes`);
  return { segment: table!.segment, offset, size };
}
