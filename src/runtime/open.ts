import { BitnetcError, diagnostics } from "../errors.ts";
import type { Kernel, OpSignature } from "../ir/ops/op.ts";
import { type OpenProgram, openProgram } from "../serialize/open-program.ts";
import type { ConstantResult } from "../serialize/program-reader.ts";
import { isTernaryBlock } from "../tensor/dtype.ts";
import { blobSource, bytesSource, type Source } from "../tensor/source.ts";
import { decodeElements, elementCount, type Tensor } from "../tensor/tensor.ts";
import { createCpuExecutor } from "./cpu/executor.ts";
import { cpuKernelsByName } from "./cpu/kernels/index.ts";
import { type Executor, takesTurns } from "./executor.ts";
import { type ProgramFacts, Session } from "./session.ts";
import { chatTemplateIn } from "./text/tokenizer.ts";

export interface OpenOptions {
  /** `auto`, the default, is the best device that there is an executor for: the CPU, for now. */
  readonly device?: "auto" | "cpu" | "webgpu" | undefined;
  /** The texts of a tokenizer.json and a tokenizer_config.json to use in place of the program's. */
  readonly tokenizer?: { readonly json: string; readonly config?: string } | undefined;
  /** Hears of bytes of weights that are loaded. */
  readonly onProgress?: ((loaded: number, total: number) => void) | undefined;
  /** CPU kernels by op name, for programs with ops that a compiler plugin added: an op's `kernel`. */
  readonly kernels?: Readonly<Record<string, (args: never, attrs: never) => readonly Tensor[]>> | undefined;
}

/**
 * Opens a program file on a device. Its weights are read and checked against their SHA-256.
 *
 * @throws BitnetcError when the file is no program or damaged, was made for another runtime, or the device
 * is not available
 */
export async function open(program: Source | Uint8Array | Blob, options: OpenOptions = {}): Promise<Session> {
  const { device = "auto", tokenizer } = options;
  if (device === "webgpu") throw new BitnetcError(diagnostics.deviceUnavailable(device));
  const opened = await openProgram(sourceOf(program));
  const facts = await readFacts(opened, tokenizer);
  return new Session(await openOnCpu(opened, options), opened.graph, facts);
}

function sourceOf(program: Source | Uint8Array | Blob): Source {
  if (program instanceof Uint8Array) return bytesSource("program", program);
  return "read" in program ? program : blobSource("program", program);
}

async function openOnCpu(program: OpenProgram, { onProgress, kernels = {} }: OpenOptions): Promise<Executor> {
  const { graph, blobs } = program;
  const types = new Map(
    graph.constants.flatMap((c) => ("key" in c ? [[c.key, graph.values[c.value]!]] : [])),
  );
  const total = [...types.keys()].reduce((sum, key) => sum + (blobs.get(key)?.size ?? 0), 0);
  let loaded = 0;
  const loadConstant = async (key: string): Promise<Tensor> => {
    const { dtype, shape } = types.get(key)!;
    const bytes = await program.blob(key);
    loaded += bytes.byteLength;
    onProgress?.(loaded, total);
    const sizes = shape.map(Number);
    const count = isTernaryBlock(dtype) ? bytes.byteLength : elementCount(sizes);
    return { dtype, shape: sizes, data: decodeElements(dtype, bytes, count) };
  };
  const added = Object.entries(kernels) as [string, Kernel<OpSignature>][];
  const executor = await createCpuExecutor(graph, {
    loadConstant,
    kernels: new Map([...cpuKernelsByName, ...added]),
  });
  return {
    device: "cpu",
    run: takesTurns((inputs) => executor.run(inputs)),
    reset: () => executor.reset(),
    dispose: () => {},
  };
}

async function readFacts(program: OpenProgram, tokenizer: OpenOptions["tokenizer"]): Promise<ProgramFacts> {
  const text = async (key: string): Promise<string | undefined> =>
    program.blobs.has(key) ? new TextDecoder().decode(await program.blob(key)) : undefined;
  const tokenizerConfig = tokenizer === undefined ? await text("tokenizer_config.json") : tokenizer.config;
  const { constants } = program.file;
  return {
    maxSeqLen: numbersIn(constants.get("get_max_context_len") ?? constants.get("get_max_seq_len"))[0],
    bosId: numbersIn(constants.get("get_bos_id"))[0],
    eosIds: numbersIn(constants.get("get_eos_ids")),
    texts: {
      tokenizer: tokenizer?.json ?? (await text("tokenizer.json")),
      tokenizerConfig,
      chatTemplate: (await text("chat_template.jinja")) ?? chatTemplateIn(tokenizerConfig),
    },
    sampling: samplingIn(program.file.source.name, await text("generation_config.json")),
  };
}

const numbersIn = (result: ConstantResult | undefined): readonly number[] =>
  [result ?? []].flat().filter((value) => typeof value === "number");

/** @throws BitnetcError `program-corrupt` for what is not JSON */
function samplingIn(program: string, json = "{}"): ProgramFacts["sampling"] {
  let fields: Readonly<Record<string, unknown>> | null;
  try {
    fields = JSON.parse(json);
  } catch (cause) {
    throw new BitnetcError(diagnostics.programCorrupt(program, "its generation_config.json is not JSON"), {
      cause,
    });
  }
  const { temperature, top_k: topK, top_p: topP } = fields ?? {};
  return {
    ...(typeof temperature === "number" && { temperature }),
    ...(typeof topK === "number" && { topK }),
    ...(typeof topP === "number" && { topP }),
  };
}
