/// <reference lib="esnext.disposable" preserve="true" />
/** Files for the compiler and the runtime: what `bitnetc` and `bitnetc/runtime` take, from paths. */
export { compileFile, openInput } from "./node/compile-file.ts";
export { type DirectoryFiles, directoryFiles } from "./node/directory.ts";
export { type FileSink, fileSink } from "./node/file-sink.ts";
export { type FileSource, fileSource } from "./node/file-source.ts";
export { openProgram } from "./node/open-program.ts";
