import { lowerToKernels } from "../backends/portable/lower.ts";
import { toMethod } from "../backends/portable/method.ts";
import { constantSegment } from "../backends/portable/segment.ts";
import type { ModelInfo } from "../frontend/model.ts";
import type { Graph } from "../ir/graph.ts";
import { rowCount, rowSize, streamRows, type WeightRef } from "../ir/weights.ts";
import { inputNamed } from "../passes/decoder.ts";
import { capacityOf } from "../passes/lengths.ts";
import { toProgramGraph } from "../passes/to-program-graph.ts";
import { delegateFormat, delegateId } from "../serialize/delegate.ts";
import { writeDelegate } from "../serialize/delegate-writer.ts";
import type { ConstantValue } from "../serialize/methods.ts";
import {
  type NamedBlob,
  type WrittenProgram,
  writeKernelProgram,
  writeProgram,
} from "../serialize/program-writer.ts";
import type { Sink } from "../serialize/sink.ts";
import { maxOf } from "../tensor/dim.ts";
import { encodeElements } from "../tensor/tensor.ts";
import type { Lowered } from "./lower.ts";
import { type CompileReport, weightBytes } from "./report.ts";

/** Writes the program file. Weights stream from the model's files through their transforms into the sink. */
export async function emit(lowered: Lowered<"planned">, sink: Sink): Promise<WrittenProgram> {
  const { graph, info } = lowered;
  if (lowered.compilation.context.options.backend === "portable") return emitPortable(lowered, sink);
  const plan = lowered.compilation.context.delegate.planned?.plan;
  const parts = toProgramGraph(graph);
  const typed = (name: string, value: number) => ({ name, ...parts.graph.values[value]! });
  return writeProgram(
    {
      methods: [
        {
          name: "forward",
          inputs: parts.graph.inputs.map(({ name, value }) => typed(name, value)),
          outputs: parts.graph.outputs.map(({ name, value }) => typed(name, value)),
        },
      ],
      constantMethods: inputNamed(graph, "tokens") ? runnerMethods(graph, info, capacityOf(graph)) : {},
      namedData: [
        ...textBlobs(info, lowered.report),
        ...[...parts.weights].map(([key, weight]) => weightBlob(key, weight)),
      ],
      delegate: {
        id: delegateId,
        format: delegateFormat,
        build: (blobs) => writeDelegate(parts.graph, blobs, plan),
      },
    },
    sink,
  );
}

/** The graph as calls of kernels that every ExecuTorch runtime has, and of custom ones where options allow them. */
function emitPortable(lowered: Lowered<"planned">, sink: Sink): Promise<WrittenProgram> {
  const { graph, info, report } = lowered;
  const kernels = lowerToKernels(graph, lowered.compilation.context.options.customOps);
  const { method, constants, constantOffsets } = toMethod("forward", kernels);
  const tokens = kernels.inputs.find(({ name }) => name === "tokens")?.shape.at(-1);
  const capacity = tokens === undefined ? 0 : capacityOf(graph);
  return writeKernelProgram(
    {
      methods: [method],
      constantMethods:
        tokens === undefined
          ? {}
          : {
              ...runnerMethods(graph, info, capacity),
              // Of one call; longer prompts take several.
              get_max_seq_len: Math.min(capacity, maxOf(tokens)),
              use_sdpa_with_kv_cache: kernels.calls.some(({ op }) => op === "llama::sdpa_with_kv_cache.out"),
            },
      namedData: textBlobs(info, report),
      constants: { blob: constantSegment(constants), offsets: constantOffsets },
    },
    sink,
  );
}

/** What ExecuTorch's LLM runner asks a program before it runs it (extension/llm/runner/constants.h). */
function runnerMethods(graph: Graph, info: ModelInfo, maxSeqLen: number): Record<string, ConstantValue> {
  const vocabulary = graph.outputs.find(({ name }) => name === "logits")?.value.type.shape.at(-1);
  const layers = info.layers ?? graph.nodes.filter(({ op }) => op === "nn.sdpa").length;
  return {
    get_max_seq_len: maxSeqLen,
    get_max_context_len: maxSeqLen,
    use_kv_cache: graph.states.length > 0,
    use_sdpa_with_kv_cache: false,
    enable_dynamic_shape: true,
    get_n_layers: layers,
    ...(typeof vocabulary === "number" && { get_vocab_size: vocabulary }),
    ...(info.bosId !== undefined && { get_bos_id: info.bosId }),
    ...(info.eosIds.length > 0 && { get_eos_ids: info.eosIds }),
  };
}

/** The model's texts, and for `inspect` what the graph was like before it was packed, which no program shows. */
function textBlobs(info: ModelInfo, { ops, sizes }: CompileReport): readonly NamedBlob[] {
  const { tokenizer, tokenizerConfig, chatTemplate, sampling } = info;
  const json = (value: object | undefined) => value && utf8(JSON.stringify(value));
  const texts: Readonly<Record<string, Uint8Array | undefined>> = {
    "tokenizer.json": tokenizer,
    "tokenizer_config.json": json(tokenizerConfig),
    "chat_template.jinja": chatTemplate === undefined ? undefined : utf8(chatTemplate),
    "generation_config.json": json(
      sampling && { temperature: sampling.temperature, top_k: sampling.topK, top_p: sampling.topP },
    ),
    "report.json": json({ ops, sizes }),
  };
  return Object.entries(texts).flatMap(([key, bytes]) => (bytes ? [bytesBlob(key, bytes)] : []));
}

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

const bytesBlob = (key: string, bytes: Uint8Array): NamedBlob => ({
  key,
  size: bytes.byteLength,
  async *stream() {
    yield bytes;
  },
});

const weightBlob = (key: string, weight: WeightRef): NamedBlob => ({
  key,
  size: weightBytes(weight),
  async *stream() {
    if (rowCount(weight) * rowSize(weight) === 0) return;
    for await (const rows of streamRows(weight)) yield encodeElements(rows.dtype, rows.data);
  },
});
