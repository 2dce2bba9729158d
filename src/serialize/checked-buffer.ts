import * as diagnostics from "../diagnostics.ts";
import { BitnetcError, type Diagnostic } from "../errors.ts";

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Steps that decoding may take for each byte there is. What writers make takes fewer than ten. */
const stepsPerByte = 256;

/**
 * A flatbuffer of unknown origin: what would be read outside of it is a RangeError. Offsets may also lead many times
 * to one place; the number of steps ends that.
 */
export class CheckedBuffer {
  readonly #view: DataView;
  #steps: number;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#steps = 4096 + stepsPerByte * bytes.byteLength;
  }

  /** What there is to read `length` bytes from, at `offset`. */
  view(offset: number, length: number, steps = 1): DataView {
    if (!(offset >= 0 && offset + length <= this.#view.byteLength))
      throw new RangeError(`byte ${offset} is outside of its ${this.#view.byteLength} bytes`);
    this.#steps -= steps;
    if (this.#steps < 0) throw new RangeError("its parts refer to each other over and over");
    return this.#view;
  }

  /** Where the offset leads that is at `at`. */
  follow(at: number): number {
    return at + this.view(at, 4).getUint32(at, true);
  }

  /** Where a table has the field with the given id; 0 when it is absent. */
  field(table: number, id: number): number {
    const vtable = table - this.view(table, 4).getInt32(table, true);
    const slot = 4 + 2 * id;
    if (slot >= this.view(vtable, 2).getUint16(vtable, true)) return 0;
    const offset = this.view(vtable + slot, 2).getUint16(vtable + slot, true);
    return offset && table + offset;
  }

  /** The number of elements of the vector that the offset at `at` leads to; the first is 4 bytes behind that place. */
  count(at: number, size: number): number {
    const start = this.follow(at);
    const count = this.view(start, 4).getUint32(start, true);
    this.view(start + 4, count * size, count);
    return count;
  }

  /** The elements of a vector of bytes. */
  bytes(at: number): Uint8Array {
    const { buffer, byteOffset } = this.#view;
    return new Uint8Array(buffer, byteOffset + this.follow(at) + 4, this.count(at, 1));
  }

  text(at: number): string {
    return utf8.decode(this.bytes(at));
  }
}

/** The diagnostic for half a sentence about what is wrong. */
type Fault = (at: string, why: string) => Diagnostic;

/**
 * Reads a flatbuffer with `decode`, which throws a RangeError with half a sentence for what is wrong.
 * @param at what errors call the buffer
 * @throws BitnetcError `program-corrupt`, or what `fault` makes
 */
export function decodeFlatbuffer<T>(
  at: string,
  bytes: Uint8Array,
  decode: (buffer: CheckedBuffer) => T,
  fault?: Fault,
): T {
  return refuseCorrupt(at, () => decode(new CheckedBuffer(bytes)), fault);
}

/** Makes a RangeError the user's error. */
export function refuseCorrupt<T>(at: string, read: () => T, fault: Fault = diagnostics.programCorrupt): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new BitnetcError(fault(at, error.message), { cause: error });
  }
}

/** A field that the format lets be absent and that must be there. */
export function required<T>(field: T | null | undefined, name: string): T {
  if (field === null || field === undefined) throw new RangeError(`it lacks ${name}`);
  return field;
}

/** An index into a list of `length`. */
export function index(value: number, length: number, what: string): number {
  if (value < 0 || value >= length) throw new RangeError(`it refers to ${what} ${value} of ${length}`);
  return value;
}

/** What is at an index of a list. */
export const element = <T>(list: readonly T[], at: number, what: string): T =>
  list[index(at, list.length, what)]!;
