import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openInput } from "../../src/node/compile-file.ts";
import { directoryFiles } from "../../src/node/directory.ts";
import { fileSink, makeFolder, writeFile } from "../../src/node/file-sink.ts";
import { fileSource, readText } from "../../src/node/file-source.ts";
import { readAll } from "../../src/tensor/source.ts";
import { temporaryFolder } from "./run-cli.ts";

const folder = temporaryFolder();
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const bytes = (value: string) => new TextEncoder().encode(value);

beforeAll(() => {
  for (const path of ["model", "model/sub", "cache/blobs", "cache/snapshots/abc"]) {
    mkdirSync(folder.file(path), { recursive: true });
  }
  writeFileSync(folder.file("secret.txt"), "secret");
  writeFileSync(folder.file("model/a.txt"), "0123456789");
  writeFileSync(folder.file("model/sub/b.txt"), "b");
  symlinkSync("../secret.txt", folder.file("model/link-out.txt"));
  symlinkSync("a.txt", folder.file("model/link-in.txt"));
  symlinkSync("..", folder.file("model/up"));
  writeFileSync(folder.file("cache/blobs/123"), "blob");
  symlinkSync("../../blobs/123", folder.file("cache/snapshots/abc/model.bin"));
  symlinkSync("../../../secret.txt", folder.file("cache/snapshots/abc/other.bin"));
});
afterAll(() => folder.remove());

describe("fileSource", () => {
  it("reads ranges", async () => {
    const source = await fileSource(folder.file("model/a.txt"));
    expect(source.size).toBe(10);
    expect(text(await source.read(3, 7))).toBe("3456");
    expect(await source.read(10, 10)).toHaveLength(0);
    await expect(source.read(5, 11)).rejects.toThrow(/file-truncated.*\n.*a\.txt/);
  });

  it("says that a file is missing, or no file", async () => {
    await expect(fileSource(folder.file("none"))).rejects.toThrow(/error\[file-missing\]/);
    await expect(fileSource(folder.file("model"))).rejects.toThrow(/error\[file-read\].*not a regular file/);
  });
});

describe("readText", () => {
  it("reads UTF-8 only", async () => {
    writeFileSync(folder.file("latin1.txt"), Uint8Array.of(0x66, 0xfc, 0x72));
    await expect(readText(folder.file("latin1.txt"))).rejects.toThrow(/error\[file-not-text\].*\n.*latin1/);
    expect(await readText(folder.file("model/a.txt"))).toBe("0123456789");
  });
});

describe("directoryFiles", () => {
  const read = async (root: string, path: string) => {
    const source = await (await directoryFiles(folder.file(root))).open(path);
    return source && text(await readAll(source));
  };

  it("opens what is in the folder", async () => {
    expect(await read("model", "a.txt")).toBe("0123456789");
    expect(await read("model", "sub/b.txt")).toBe("b");
    expect(await read("model", "sub/../a.txt")).toBe("0123456789");
    expect(await read("model", "link-in.txt")).toBe("0123456789");
    expect(await read("model", "none.txt")).toBeUndefined();
    expect(await (await directoryFiles(folder.file("model"))).list()).toContain("a.txt");
  });

  it.each(["../secret.txt", "sub/../../secret.txt", "link-out.txt", "up/secret.txt"])(
    "refuses %s",
    async (path) => {
      await expect(read("model", path)).rejects.toThrow(/error\[file-outside\]/);
    },
  );

  it("refuses absolute paths, into the folder too", async () => {
    await expect(read("model", folder.file("model/a.txt"))).rejects.toThrow(/error\[file-outside\]/);
  });

  it("follows the links of a Hugging Face cache to its blobs only", async () => {
    expect(await read("cache/snapshots/abc", "model.bin")).toBe("blob");
    await expect(read("cache/snapshots/abc", "other.bin")).rejects.toThrow(/error\[file-outside\]/);
  });

  it("says that the folder is missing", async () => {
    await expect(directoryFiles(folder.file("nowhere"))).rejects.toThrow(/error\[file-missing\]/);
  });
});

describe("fileSink", () => {
  const unfinished = () => readdirSync(folder.path).filter((name) => name.endsWith(".tmp"));

  it("writes parts in any order, and shows the file when it is complete", async () => {
    const path = folder.file("out.bin");
    const sink = await fileSink(path);
    await sink.write(6, bytes("world..."));
    await sink.write(0, bytes("hello "));
    await sink.truncate(11);
    expect(existsSync(path)).toBe(false);
    await sink.commit();
    await sink.discard();
    expect(readFileSync(path, "utf8")).toBe("hello world");
    expect(unfinished()).toEqual([]);
  });

  it("leaves what was there when it is discarded", async () => {
    writeFileSync(folder.file("old.bin"), "old");
    const sink = await fileSink(folder.file("old.bin"));
    await sink.write(0, bytes("new"));
    expect(unfinished()).toHaveLength(1);
    await sink.discard();
    expect(readFileSync(folder.file("old.bin"), "utf8")).toBe("old");
    expect(unfinished()).toEqual([]);
  });

  it("says that a file cannot be written", async () => {
    await expect(fileSink(folder.file("no/folder/x"))).rejects.toThrow(
      /error\[file-write\].*folder does not exist/,
    );
    await expect(fileSink(folder.file("model"))).rejects.toThrow(/error\[file-write\].*it is a folder/);
    await expect(makeFolder(folder.file("model/a.txt"))).rejects.toThrow(/error\[file-write\].*it is a file/);
    expect(unfinished()).toEqual([]);
  });

  it.runIf(process.platform !== "win32")("replaces files only, not what is no file", async () => {
    await expect(fileSink("/dev/null")).rejects.toThrow(/error\[file-write\].*not a regular file/);
  });

  it("writes through a link", async () => {
    const link = folder.file("link.bin");
    writeFileSync(folder.file("target.bin"), "old");
    symlinkSync("target.bin", link);
    await writeFile(link, bytes("new"));
    expect(readFileSync(folder.file("target.bin"), "utf8")).toBe("new");
    expect(readlinkSync(link)).toBe("target.bin");
  });
});

describe("openInput", () => {
  it("tells a model's files from their path", async () => {
    writeFileSync(folder.file("model/m.onnx"), "");
    writeFileSync(folder.file("model/m.safetensors"), "");
    const names = async (path: string) => {
      const input = await openInput(folder.file(path));
      return [input.model?.name, input.files?.name];
    };
    const all = folder.file("model");
    expect(await names("model")).toEqual([undefined, all]);
    expect(await names("model/m.onnx")).toEqual([folder.file("model/m.onnx"), all]);
    expect(await names("model/m.safetensors")).toEqual([folder.file("model/m.safetensors"), all]);
    await expect(openInput(folder.file("model/a.txt"))).rejects.toThrow(/error\[input-kind\]/);
    await expect(openInput(folder.file("none.onnx"))).rejects.toThrow(/error\[file-missing\]/);
  });
});

describe("a process that ends early", () => {
  it("leaves no unfinished file", () => {
    const script = `
      import { build } from "esbuild";
      const { outputFiles } = await build({ entryPoints: [process.argv[1]], bundle: true, platform: "node", format: "esm", write: false });
      const code = outputFiles[0].text;
      const { fileSink } = await import("data:text/javascript," + encodeURIComponent(code));
      const sink = await fileSink(process.argv[2]);
      await sink.write(0, new Uint8Array(8));
      process.exit(130);
    `;
    const source = fileURLToPath(new URL("../../src/node/file-sink.ts", import.meta.url));
    const { status, stderr } = spawnSync(
      process.execPath,
      ["--input-type=module", "-e", script, source, folder.file("early.bin")],
      { encoding: "utf8" },
    );
    expect({ status, stderr }).toEqual({ status: 130, stderr: "" });
    expect(readdirSync(folder.path).filter((name) => name.includes("early"))).toEqual([]);
  });
});
