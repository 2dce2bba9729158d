import { BitnetcError } from "../errors.ts";
import { joinChunks } from "../serialize/blob.ts";
import { type OpenProgram, type OpenUndelegated, openProgram } from "../serialize/open-program.ts";
import { blobSource, bytesSource, type Source } from "../tensor/source.ts";
import { chooseDevice, type GpuProvider } from "./choose-device.ts";
import { type AddedKernels, openOnCpu } from "./cpu/open-on-cpu.ts";
import type { Executor } from "./executor.ts";
import { opfsCache } from "./opfs-cache.ts";
import { readFacts } from "./program-facts.ts";
import { Session } from "./session.ts";
import { urlSource } from "./url-source.ts";
import { createWebGpuExecutor } from "./webgpu/executor.ts";

export interface OpenOptions {
  /**
   * `auto`, the default, is a GPU that can run the program if there is one, else the CPU: `Session.device` and
   * `SessionInfo.deviceNote` say which and why. A device that is given is not destroyed in the end.
   */
  readonly device?: "auto" | "cpu" | "webgpu" | GPUDevice | undefined;
  /** Where to look for adapters, or what gives it when it is needed: `navigator.gpu`, unless given. */
  readonly gpu?: GpuProvider | undefined;
  /** The texts of a tokenizer.json and a tokenizer_config.json to use in place of the program's. */
  readonly tokenizer?: { readonly json: string; readonly config?: string } | undefined;
  readonly onProgress?: ((progress: OpenProgress) => void) | undefined;
  /** `opfs` keeps weights in the browser's origin private file system from one visit to the next. */
  readonly cache?: "opfs" | "none" | undefined;
  /** Ends the opening: it throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** To be able to measure where the time goes on a GPU: for `Session.profile`. */
  readonly profile?: boolean | undefined;
  /**
   * What opens programs of ExecuTorch's operators, without a delegate or with those of its Vulkan backend:
   * `openPortable` of bitnetc/runtime/portable. Left out, they are refused.
   */
  readonly portable?: OpenUndelegated | undefined;
  /** CPU kernels by op name, for programs with ops that a compiler plugin added: an op's `kernel`. */
  readonly kernels?: AddedKernels | undefined;
}

/** In bytes. */
export interface OpenProgress {
  /** `download`: of the whole file, from a server that gives no parts. `weights`: what is loaded and checked. */
  readonly phase: "download" | "weights";
  readonly loaded: number;
  readonly total: number;
}

/**
 * Opens a program on a device. All of it is read and checked against its SHA-256.
 * @param program bytes, a file, where it lies on a server, or any other source
 * @throws BitnetcError when the file is no program or damaged, was made for another runtime, or the device is not
 * available or cannot run it, which is known before weights are read
 */
export async function open(
  program: Source | Uint8Array | Blob | URL | string,
  options: OpenOptions = {},
): Promise<Session> {
  const { device = "auto", tokenizer, cache, signal, kernels } = options;
  signal?.throwIfAborted();
  const chunks = cache === "opfs" ? await opfsCache() : undefined;
  const opened = await openProgram(await sourceOf(program, options), {
    cache: chunks,
    undelegated: options.portable,
  });
  const start = async (load: (program: OpenProgram) => Promise<Executor>, deviceNote?: string) => {
    const reading = observed(opened, options);
    const executor = await load(reading);
    try {
      const facts = await readFacts(reading, tokenizer, executor.identity);
      await reading.finish();
      return new Session(executor, opened.graph, facts, deviceNote);
    } catch (error) {
      executor.dispose();
      throw error;
    }
  };
  const onCpu = (deviceNote?: string) =>
    start((reading) => opened.execute?.(reading) ?? openOnCpu(reading, kernels), deviceNote);
  if (device === "cpu") return onCpu();
  try {
    const { graph, plan } = opened;
    const chosen = await chooseDevice(plan, device, options.gpu, options.profile);
    return await start((reading) => createWebGpuExecutor(graph, plan!, chosen, reading));
  } catch (error) {
    if (device !== "auto" || !(error instanceof BitnetcError) || !/^(device|webgpu)-/.test(error.code))
      throw error;
    return onCpu(error.diagnostics.map(({ message }) => message).join(" "));
  }
}

async function sourceOf(
  program: Source | Uint8Array | Blob | URL | string,
  { signal, onProgress }: OpenOptions,
): Promise<Source> {
  if (program instanceof Uint8Array) return bytesSource("program", program);
  if (program instanceof Blob) return blobSource(program instanceof File ? program.name : "program", program);
  if (typeof program !== "string" && "read" in program) return program;
  return urlSource(program, {
    signal,
    onProgress: (loaded, total) => onProgress?.({ phase: "download", loaded, total }),
  });
}

/** A program as it is opened: tells of what is read, and reads in the end what nobody has read, so that it is checked. */
function observed(program: OpenProgram, { onProgress, signal }: OpenOptions) {
  const unread = new Set(program.blobs.keys());
  const total = [...program.blobs.values()].reduce((sum, { size }) => sum + size, 0);
  let loaded = 0;
  async function* chunks(key: string) {
    const isNew = unread.delete(key);
    signal?.throwIfAborted();
    for await (const chunk of program.chunks(key)) {
      signal?.throwIfAborted();
      if (isNew) loaded += chunk.length;
      onProgress?.({ phase: "weights", loaded, total });
      yield chunk;
    }
  }
  return {
    ...program,
    chunks,
    blob: (key: string) => joinChunks(program.blobs.get(key)!.size, chunks(key)),
    async finish() {
      for (const key of unread) for await (const _ of chunks(key));
    },
  };
}
