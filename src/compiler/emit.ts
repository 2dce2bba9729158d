import { utf8ToBytes } from "@noble/hashes/utils.js";
import type { ModelInfo } from "../frontend/model.ts";
import type { Graph } from "../ir/graph.ts";
import { rowCount, rowSize, streamRows, type WeightRef } from "../ir/weights.ts";
import { maxSeqLenOf } from "../passes/canonical/bind-dimensions.ts";
import { toProgramGraph } from "../passes/to-program-graph.ts";
import { writeDelegate } from "../serialize/delegate.ts";
import type { ConstantValue } from "../serialize/methods.ts";
import { type NamedBlob, type WrittenProgram, writeProgram } from "../serialize/program-writer.ts";
import type { Sink } from "../serialize/sink.ts";
import { encodeElements } from "../tensor/tensor.ts";
import type { Lowered } from "./lower.ts";
import { type CompileReport, weightBytes } from "./report.ts";

/** The delegate's name in ExecuTorch's registry of backends. */
export const delegateId = "BitnetcBackend";

/** Writes the program file. Weights stream from the model's files through their transforms into the sink. */
export async function emit(lowered: Lowered<"packed">, sink: Sink): Promise<WrittenProgram> {
  const { graph, info, compilation } = lowered;
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
      constantMethods: isDecoder(graph) ? runnerMethods(graph, info, maxSeqLenOf(compilation.context)) : {},
      namedData: [
        ...textBlobs(info, lowered.report),
        ...[...parts.weights].map(([key, weight]) => weightBlob(key, weight)),
      ],
      delegate: { id: delegateId, format: "BNC1", build: (blobs) => writeDelegate(parts.graph, blobs) },
    },
    sink,
  );
}

const isDecoder = (graph: Graph): boolean =>
  graph.inputs.some(({ def }) => def.kind === "input" && def.name === "tokens");

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

function textBlobs(info: ModelInfo, report: CompileReport): readonly NamedBlob[] {
  const blobs: NamedBlob[] = [];
  const add = (key: string, bytes: Uint8Array | undefined) => {
    if (bytes === undefined) return;
    blobs.push({
      key,
      size: bytes.byteLength,
      async *stream() {
        yield bytes;
      },
    });
  };
  const json = (value: object) => utf8ToBytes(JSON.stringify(value));
  const { specialTokens: tokens, sampling } = info;
  add("tokenizer.json", info.tokenizer);
  if (tokens)
    add(
      "tokenizer_config.json",
      json({
        ...(tokens.bos !== undefined && { bos_token: tokens.bos }),
        ...(tokens.eos !== undefined && { eos_token: tokens.eos }),
      }),
    );
  if (info.chatTemplate !== undefined) add("chat_template.jinja", utf8ToBytes(info.chatTemplate));
  if (sampling)
    add(
      "generation_config.json",
      json({ temperature: sampling.temperature, top_k: sampling.topK, top_p: sampling.topP }),
    );
  // For `inspect`: what the graph was like before it was packed cannot be told from the program.
  add("report.json", json({ ops: report.ops, sizes: report.sizes }));
  return blobs;
}

const weightBlob = (key: string, weight: WeightRef): NamedBlob => ({
  key,
  size: weightBytes(weight),
  async *stream() {
    if (rowCount(weight) * rowSize(weight) === 0) return;
    for await (const rows of streamRows(weight)) yield encodeElements(rows.dtype, rows.data);
  },
});
