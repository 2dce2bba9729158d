import { bytesToHex } from "@noble/hashes/utils.js";
import { BitnetcError, diagnostics } from "../errors.ts";
import { sha256Hex } from "../tensor/sha256.ts";
import type { ByteRange } from "../tensor/source.ts";

/** What a part of a program must be. */
export interface BlobEntry {
  readonly key: string;
  /** In bytes. */
  readonly size: number;
  /** 64 hexadecimal digits. */
  readonly sha256: string;
}

/** SHA-256 in hexadecimal; by the platform where it has one, which is several times as fast. */
async function digest(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  // Browsers offer `crypto.subtle` to pages of https and localhost only.
  const subtle: SubtleCrypto | undefined = globalThis.crypto?.subtle;
  return subtle ? bytesToHex(new Uint8Array(await subtle.digest("SHA-256", bytes))) : sha256Hex(bytes);
}

/**
 * Reads a part of a program and checks that it is what was written.
 * @param at what errors call the program
 * @throws BitnetcError `program-corrupt` when its size differs, `program-hash` when its contents do
 */
export async function readBlob(
  at: string,
  range: ByteRange,
  expected: BlobEntry,
): Promise<Uint8Array<ArrayBuffer>> {
  if (range.size !== expected.size) {
    const detail = `the part ${expected.key} should have ${expected.size} bytes and has ${range.size}`;
    throw new BitnetcError(diagnostics.programCorrupt(at, detail));
  }
  const bytes = await readRange(at, range);
  await verifyBlob(at, bytes, expected);
  return bytes;
}

/** @throws BitnetcError `program-hash` when the bytes are not those that were written */
export async function verifyBlob(
  at: string,
  bytes: Uint8Array<ArrayBuffer>,
  expected: BlobEntry,
): Promise<void> {
  if ((await digest(bytes)) !== expected.sha256)
    throw new BitnetcError(diagnostics.programHash(at, expected.key));
}

/** All bytes of a range. @throws BitnetcError `program-truncated` when fewer come than there were */
export async function readRange(at: string, range: ByteRange): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = await range.read(0, range.size);
  if (bytes.byteLength !== range.size)
    throw new BitnetcError(diagnostics.programTruncated(at, range.size, bytes.byteLength));
  return bytes as Uint8Array<ArrayBuffer>;
}
