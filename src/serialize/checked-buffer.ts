import { ByteBuffer } from "flatbuffers";
import { BitnetcError, type Diagnostic, diagnostics } from "../errors.ts";

const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** Steps that decoding may take for each byte there is. What writers make takes fewer than ten. */
const stepsPerByte = 256;

/**
 * A flatbuffer of unknown origin. The library has no verifier and reads beyond the end without a word, so what
 * the generated code reads is checked here, and a RangeError thrown where it leaves the buffer. Offsets may
 * also lead many times to one place; the number of steps ends that.
 */
class CheckedBuffer extends ByteBuffer {
  readonly #size: number;
  #steps: number;

  constructor(bytes: Uint8Array) {
    // Generated code makes views on `bytes.buffer`, which must not show what is around `bytes`.
    super(bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice());
    this.#size = bytes.byteLength;
    this.#steps = 4096 + stepsPerByte * bytes.byteLength;
  }

  #check(offset: number, length: number, steps = 1): void {
    if (!(offset >= 0 && length >= 0 && offset + length <= this.#size))
      throw new RangeError(`byte ${offset} is outside of its ${this.#size} bytes`);
    this.#steps -= steps;
    if (this.#steps < 0) throw new RangeError("its parts refer to each other over and over");
  }

  override readUint8(offset: number): number {
    this.#check(offset, 1);
    return super.readUint8(offset);
  }

  override readUint16(offset: number): number {
    this.#check(offset, 2);
    return super.readUint16(offset);
  }

  override readInt32(offset: number): number {
    this.#check(offset, 4);
    return super.readInt32(offset);
  }

  override __vector_len(offset: number): number {
    const length = super.__vector_len(offset);
    this.#check(this.__vector(offset), length, length);
    return length;
  }

  override __string(offset: number): string {
    const length = this.__vector_len(offset);
    const from = this.__vector(offset);
    return utf8.decode(this.bytes().subarray(from, from + length));
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
  decode: (buffer: ByteBuffer) => T,
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
export function required<T>(field: T | null, name: string): T {
  if (field === null) throw new RangeError(`it lacks ${name}`);
  return field;
}

/** The elements of a vector of tables or strings, from its generated accessor. */
export function vector<T>(length: number, at: (index: number) => T | null): T[] {
  return Array.from({ length }, (_, i) => required(at(i), `element ${i} of a list`));
}

/** The elements of a vector of numbers. */
export const numbers = (elements: ArrayLike<number> | null): number[] => Array.from(elements ?? []);

/** An index into a list of `length`. */
export function index(value: number, length: number, what: string): number {
  if (value < 0 || value >= length) throw new RangeError(`it refers to ${what} ${value} of ${length}`);
  return value;
}
