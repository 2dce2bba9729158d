import { type OpenOptions, open, type Session } from "../runtime/index.ts";
import { openPortable } from "../runtime/portable.ts";
import { fileSource } from "./file-source.ts";
import { nodeGpu, profilingOptions } from "./gpu.ts";

/** Opens the program file at `path`. WebGPU is that of the package webgpu. @throws BitnetcError */
export async function openProgram(path: string, options: OpenOptions = {}): Promise<Session> {
  const gpu = () => nodeGpu(options.profile ? profilingOptions : []);
  return open(await fileSource(path), { portable: openPortable, ...options, gpu: options.gpu ?? gpu });
}
