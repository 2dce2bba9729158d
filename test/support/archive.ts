import { mkdirSync, readFileSync, renameSync, writeFileSync, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { brotliDecompressSync, constants } from "node:zlib";

const data = fileURLToPath(new URL("../data/", import.meta.url));

/**
 * The files of an archive in test/data, unpacked once into the system's temporary folder.
 *
 * An archive is brotli over: u32 length of an index, the index as JSON ([name, size] pairs), the files end to
 * end. Files that share contents (one model from several exporters) compress to little more than one of them.
 */
export function unpacked(archive: string): string {
  const packed = readFileSync(join(data, archive));
  const digest = createHash("sha256").update(packed).digest("hex").slice(0, 16);
  const folder = join(tmpdir(), `bitnetc-test-${archive}-${digest}`);
  if (existsSync(folder)) return folder;
  const bytes = brotliDecompressSync(packed, { params: { [constants.BROTLI_DECODER_PARAM_LARGE_WINDOW]: 1 } });
  const indexSize = bytes.readUInt32LE(0);
  const index = JSON.parse(bytes.subarray(4, 4 + indexSize).toString()) as [string, number][];
  const partial = `${folder}-${process.pid}`;
  let at = 4 + indexSize;
  for (const [name, size] of index) {
    const path = join(partial, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, bytes.subarray(at, at + size));
    at += size;
  }
  try {
    renameSync(partial, folder);
  } catch (error) {
    // Another test worker was faster.
    if (!existsSync(folder)) throw error;
  }
  return folder;
}
