import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError } from "../../errors.ts";
import type { Source } from "../../tensor/source.ts";

/** A range of a file. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** A length-delimited field of a message: where its payload is. */
export interface LocatedField extends Span {
  readonly field: number;
}

/** A message, with some of its fields only located. */
interface SplitMessage {
  /** What is left of the message: itself a message, ready to be decoded. */
  readonly rest: Uint8Array;
  readonly located: readonly LocatedField[];
}

/** Reads are at least this long, so that a run of small messages takes few of them. */
const windowSize = 1 << 16;
/** A tag and a length are two varints. */
const headerSize = 20;

/**
 * Walks protobuf messages in a file without reading the large fields in them: they are located, and whoever
 * wants one reads it. Wire format: protobuf.dev/programming-guides/encoding.
 */
export class MessageReader {
  readonly source: Source;
  #window: Uint8Array = new Uint8Array(0);
  #windowStart = 0;

  constructor(source: Source) {
    this.source = source;
  }

  /**
   * Takes one message apart. Fields for which `isLocated` holds are located, the others are read.
   * @param isLocated asked for length-delimited fields only
   * @throws BitnetcError when the bytes are not a protobuf message
   */
  async split(message: Span, isLocated: (field: number) => boolean): Promise<SplitMessage> {
    const located: LocatedField[] = [];
    const runs: { from: number; to: number }[] = [];
    let at = message.from;
    while (at < message.to) {
      await this.#load(at, Math.min(at + headerSize, message.to));
      const start = at;
      const tag = this.#varint(at, message.to);
      const field = Math.floor(tag.value / 8);
      at = tag.end;
      let payload: Span | undefined;
      switch (tag.value % 8) {
        case 0:
          at = this.#varint(at, message.to).end;
          break;
        case 1:
          at += 8;
          break;
        case 2: {
          const length = this.#varint(at, message.to);
          payload = { from: length.end, to: length.end + length.value };
          at = payload.to;
          break;
        }
        case 5:
          at += 4;
          break;
        default:
          throw this.#corrupt(start);
      }
      if (field === 0) throw this.#corrupt(start);
      if (at > message.to) throw this.#tooLong(at, message.to);
      if (payload !== undefined && isLocated(field)) located.push({ field, ...payload });
      else if (runs.at(-1)?.to === start) runs.at(-1)!.to = at;
      else runs.push({ from: start, to: at });
    }
    return { rest: await this.#join(runs), located };
  }

  /** The bytes of a range, as a copy. */
  async bytes({ from, to }: Span): Promise<Uint8Array> {
    if (to - from > windowSize) return this.source.read(from, to);
    await this.#load(from, to);
    return new Uint8Array(this.#window.subarray(from - this.#windowStart, to - this.#windowStart));
  }

  /** Decodes one message with the decoder that the schema's package has for it. */
  decode<T>(decoder: { decode(bytes: Uint8Array): T }, bytes: Uint8Array, place: Span): T {
    try {
      return decoder.decode(bytes);
    } catch (error) {
      throw new BitnetcError(diagnostics.onnxCorrupt(this.source.name, place.from), { cause: error });
    }
  }

  async #join(runs: readonly Span[]): Promise<Uint8Array> {
    if (runs.length === 1) return this.bytes(runs[0]!);
    const joined = new Uint8Array(runs.reduce((sum, { from, to }) => sum + to - from, 0));
    let at = 0;
    for (const run of runs) {
      joined.set(await this.bytes(run), at);
      at += run.to - run.from;
    }
    return joined;
  }

  /** Makes the window cover a range, which must lie in the file. */
  async #load(from: number, to: number): Promise<void> {
    if (from >= this.#windowStart && to <= this.#windowStart + this.#window.byteLength) return;
    const end = Math.min(Math.max(to, from + windowSize), this.source.size);
    this.#window = await this.source.read(from, end);
    this.#windowStart = from;
    if (this.#window.byteLength < to - from)
      throw new BitnetcError(diagnostics.fileTruncated(this.source.name, to, from + this.#window.byteLength));
  }

  /** Reads a varint from the window. One of more than 2^53 loses its last bits: no tag or length has so many. */
  #varint(from: number, end: number): { readonly value: number; readonly end: number } {
    let value = 0;
    let scale = 1;
    for (let at = from; at < from + 10; at++) {
      if (at >= end) throw this.#tooLong(at + 1, end);
      const byte = this.#window[at - this.#windowStart]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return { value, end: at + 1 };
      scale *= 128;
    }
    throw this.#corrupt(from);
  }

  /** A field reaches past its message: past the end of the file, if the message is the whole file. */
  #tooLong(need: number, end: number): BitnetcError {
    const { name, size } = this.source;
    return new BitnetcError(
      end === size && need > size && Number.isSafeInteger(need)
        ? diagnostics.fileTruncated(name, need, size)
        : diagnostics.onnxCorrupt(name, end),
    );
  }

  #corrupt(at: number): BitnetcError {
    return new BitnetcError(diagnostics.onnxCorrupt(this.source.name, at));
  }
}
