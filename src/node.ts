/// <reference lib="esnext.disposable" preserve="true" />
/** Files for the compiler and the runtime: what `bitnetc` and `bitnetc/runtime` take, from paths. */
export { compileFile, openInput } from "./node/compile-file.ts";
export { directoryFiles } from "./node/directory.ts";
export { type FileSink, fileSink } from "./node/file-sink.ts";
export { fileSource } from "./node/file-source.ts";
export { nodeGpu } from "./node/gpu.ts";
export { openProgram } from "./node/open-program.ts";
