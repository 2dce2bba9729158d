const blockSize = 512;
const ascii = new TextDecoder("latin1");

/** The plain files of a tar archive (POSIX ustar), by path, without a leading `./`. */
export function* tarFiles(archive: Uint8Array): Generator<readonly [path: string, bytes: Uint8Array]> {
  for (let at = 0; at + blockSize <= archive.length && archive[at] !== 0; ) {
    const field = (offset: number, length: number): string =>
      ascii.decode(archive.subarray(at + offset, at + offset + length)).replace(/\0.*$/s, "");
    const size = Number.parseInt(field(124, 12), 8);
    const isFile = field(156, 1) === "0" || field(156, 1) === "";
    const path = [field(345, 155), field(0, 100)].filter((part) => part !== "").join("/");
    const start = at + blockSize;
    if (isFile) yield [path.replace(/^\.\//, ""), archive.subarray(start, start + size)];
    at = start + Math.ceil(size / blockSize) * blockSize;
  }
}
