import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { brotliDecompressSync, constants } from "node:zlib";
import { tarFiles } from "./tar.ts";

/** From the root of the repository, where tests and scripts run: bundled scripts do not know their own place. */
const data = resolve("test/data");

/**
 * The files of an archive in test/data (tar, compressed with Brotli), unpacked once into the system's temporary
 * folder. Brotli's large window lets files that share contents, as one model from several exporters does, take
 * little more room than one of them.
 */
export function unpacked(archive: string): string {
  const packed = readFileSync(join(data, archive));
  const digest = createHash("sha256").update(packed).digest("hex").slice(0, 16);
  const folder = join(tmpdir(), `bitnetc-test-${archive}-${digest}`);
  if (existsSync(folder)) return folder;
  const bytes = brotliDecompressSync(packed, {
    params: { [constants.BROTLI_DECODER_PARAM_LARGE_WINDOW]: 1 },
  });
  const partial = `${folder}-${process.pid}`;
  for (const [name, contents] of tarFiles(bytes)) {
    const path = join(partial, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, contents);
  }
  try {
    renameSync(partial, folder);
  } catch (error) {
    // Another test worker was faster.
    if (!existsSync(folder)) throw error;
  }
  return folder;
}
