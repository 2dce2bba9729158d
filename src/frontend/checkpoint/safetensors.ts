import * as z from "zod";
import * as diagnostics from "../../diagnostics.ts";
import type { Diagnostic } from "../../errors.ts";
import type { DType } from "../../tensor/dtype.ts";
import { safetensorsNames } from "../../tensor/safetensors-writer.ts";
import { type ByteRange, byteRange, type Source } from "../../tensor/source.ts";
import { byteLength, elementCount } from "../../tensor/tensor.ts";

/** A tensor of a safetensors file: what its header says, and where its bytes are. */
export interface StoredTensor {
  readonly name: string;
  /** The file that holds it. */
  readonly file: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: ByteRange;
}

const dtypes = new Map(
  Object.entries(safetensorsNames).map(([dtype, name]) => [name, dtype as DType] as const),
);

const size = z.int().nonnegative();
const entrySchema = z.object({
  dtype: z.string(),
  shape: z.array(size),
  data_offsets: z.tuple([size, size]),
});
const metadataSchema = z.record(z.string(), z.string());

/** The format's own limit on its header. */
const largestHeader = 100_000_000;
/** The length of the header, a little-endian 64-bit integer. */
const prefixBytes = 8;

/**
 * Reads the header of a safetensors file and checks all of it: its length, that it is JSON, that every tensor
 * has a dtype we know and as many bytes as its shape needs, inside the file, and shared with no other.
 * @param path of the file in its set: ids of weights begin with it, wherever the set lies
 * @param faults grows by one entry for each thing that is wrong
 * @returns the tensors without fault, in the order of the file
 */
export async function readSafetensors(
  source: Source,
  path: string,
  faults: Diagnostic[],
): Promise<readonly StoredTensor[]> {
  const file = source.name;
  if (source.size < prefixBytes) {
    faults.push(
      diagnostics.safetensorsHeader(file, `the file has ${source.size} bytes, too few to say how long it is`),
    );
    return [];
  }
  const prefix = await source.read(0, prefixBytes);
  const length = Number(new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true));
  if (length > largestHeader || prefixBytes + length > source.size) {
    const limit = Math.min(largestHeader, source.size - prefixBytes);
    faults.push(
      diagnostics.safetensorsHeader(
        file,
        `it claims to be ${length} bytes long, and at most ${limit} can be`,
      ),
    );
    return [];
  }
  const header = parseHeader(file, await source.read(prefixBytes, prefixBytes + length), faults);
  if (header === undefined) return [];

  const dataStart = prefixBytes + length;
  const tensors: (StoredTensor & { readonly from: number; readonly to: number })[] = [];
  const beyond: { readonly name: string; readonly end: number }[] = [];
  for (const [name, value] of Object.entries(header)) {
    const wrong = (detail: string): void =>
      void faults.push(diagnostics.safetensorsTensor(file, name, detail));
    if (name === "__metadata__") {
      if (!metadataSchema.safeParse(value).success) wrong("it must map text to text");
      continue;
    }
    const entry = entrySchema.safeParse(value);
    if (!entry.success) {
      const [issue] = entry.error.issues;
      wrong(`its field ${issue?.path.join(".")} is not as it should be: ${issue?.message}`);
      continue;
    }
    const { shape } = entry.data;
    const [from, to] = entry.data.data_offsets;
    const dtype = dtypes.get(entry.data.dtype);
    const need = dtype === undefined ? 0 : byteLength(dtype, elementCount(shape));
    if (dtype === undefined)
      wrong(`its dtype ${entry.data.dtype} is not one of ${[...dtypes.keys()].join(", ")}`);
    else if (from > to) wrong(`it ends (${to}) before it begins (${from})`);
    else if (to - from !== need)
      wrong(`${entry.data.dtype} ${JSON.stringify(shape)} takes ${need} bytes, and it has ${to - from}`);
    else if (dataStart + to > source.size) beyond.push({ name, end: dataStart + to });
    else
      tensors.push({
        name,
        file,
        dtype,
        shape,
        // The id has the tensor's name in it, since errors about a weight show it.
        bytes: { ...byteRange(source, dataStart + from, need), id: `${path}:${name}` },
        from,
        to,
      });
  }
  if (beyond.length > 0) {
    const need = beyond.reduce((largest, { end }) => Math.max(largest, end), 0);
    faults.push(diagnostics.safetensorsTruncated(file, need, source.size, beyond[0]!.name, beyond.length));
  }
  const inOrder = tensors.filter(({ from, to }) => from < to).sort((a, b) => a.from - b.from);
  let last: (typeof tensors)[number] | undefined;
  for (const tensor of inOrder) {
    if (last !== undefined && tensor.from < last.to)
      faults.push(diagnostics.safetensorsTensor(file, tensor.name, `it shares bytes with ${last.name}`));
    if (last === undefined || tensor.to > last.to) last = tensor;
  }
  return tensors;
}

function parseHeader(
  file: string,
  bytes: Uint8Array,
  faults: Diagnostic[],
): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
    faults.push(diagnostics.safetensorsHeader(file, "it is not a JSON object"));
  } catch (error) {
    if (!(error instanceof SyntaxError) && !(error instanceof TypeError)) throw error;
    faults.push(diagnostics.safetensorsHeader(file, `it is not JSON: ${error.message}`));
  }
  return undefined;
}
