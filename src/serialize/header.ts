/**
 * The extended header of a program file: 32 bytes put into the finished flatbuffer behind its root offset and
 * identifier. Little-endian:
 *
 *     8  "eh00"
 *    12  u32 length of this header, 32 (24 in files without the last field)
 *    16  u64 bytes of the flatbuffer, this header included
 *    24  u64 where the segments begin in the file; 0 without segments
 *    32  u64 bytes from there to the end of the last segment
 */
export interface ExtendedHeader {
  readonly programSize: number;
  readonly segmentBase: number;
  /** Absent in the older form of the header. */
  readonly segmentDataSize?: number;
}

export const programIdentifier = "ET12";
/** The compile spec of a delegate with the SHA-256 of all before the first segment, taken with zeros in its place. */
export const headSpec = "head_sha256";
/** What the runtime reads to find the header; no program file is shorter. */
export const leadSize = 64;

const magic = "eh00";
const headerOffset = 8;
const headerSize = 32;

const ascii = (bytes: Uint8Array, from: number): string =>
  String.fromCharCode(...bytes.subarray(from, from + 4));

/** The four characters that tell what a flatbuffer holds. */
export const identifierOf = (lead: Uint8Array): string => ascii(lead, 4);

/**
 * The file's front for a finished flatbuffer. The inserted length is a multiple of every alignment used in the
 * flatbuffer (16 at most), and all its offsets but the root's are relative.
 */
export function insertHeader(
  flatbuffer: Uint8Array,
  segmentBase: number,
  segmentDataSize: number,
): Uint8Array<ArrayBuffer> {
  const front = new Uint8Array(flatbuffer.length + headerSize);
  front.set(flatbuffer.subarray(0, headerOffset));
  front.set(flatbuffer.subarray(headerOffset), headerOffset + headerSize);
  const view = new DataView(front.buffer);
  view.setUint32(0, view.getUint32(0, true) + headerSize, true);
  for (let i = 0; i < 4; i++) front[headerOffset + i] = magic.charCodeAt(i);
  view.setUint32(12, headerSize, true);
  view.setBigUint64(16, BigInt(front.length), true);
  view.setBigUint64(24, BigInt(segmentBase), true);
  view.setBigUint64(32, BigInt(segmentDataSize), true);
  return front;
}

/**
 * @param lead the first bytes of the file, `leadSize` of them
 * @returns undefined for a file without a header: all of it is flatbuffer
 * @throws RangeError when the header's numbers are none
 */
export function readHeader(lead: Uint8Array): ExtendedHeader | undefined {
  if (ascii(lead, headerOffset) !== magic) return undefined;
  const view = new DataView(lead.buffer, lead.byteOffset, lead.byteLength);
  const length = view.getUint32(12, true);
  if (length < 24) throw new RangeError(`its header says to have ${length} bytes`);
  const header = { programSize: readSize(view, 16), segmentBase: readSize(view, 24) };
  return length < headerSize ? header : { ...header, segmentDataSize: readSize(view, 32) };
}

const readSize = (view: DataView, offset: number): number => sizeOf(view.getBigUint64(offset, true));

/** A 64-bit size as a number. @throws RangeError beyond 2^53, where no file ends */
export function sizeOf(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError(`${value} is no size or offset`);
  return Number(value);
}
