import type { ModelInfo } from "../frontend/model.ts";
import type { Graph } from "../ir/graph.ts";
import { rowCount, rowSize, streamRows, type WeightRef } from "../ir/weights.ts";
import { packedRowBytes } from "../packing/index.ts";
import type { ConstantValue } from "../serialize/methods.ts";
import { bytesBlob, type NamedBlob } from "../serialize/program-writer.ts";
import { isTernaryBlock } from "../tensor/dtype.ts";
import { byteLength, elementCount, encodeElements } from "../tensor/tensor.ts";
import type { Compiled } from "./backend.ts";

/**
 * What ExecuTorch's LLM runner asks a program before it runs it (extension/llm/runner/constants.h).
 * @param positions that the program has room for
 * @param tokens of one call, at most
 */
export function runnerMethods(
  graph: Graph,
  info: ModelInfo,
  positions: number,
  tokens = positions,
): Record<string, ConstantValue> {
  const vocabulary = graph.outputs.find(({ name }) => name === "logits")?.value.type.shape.at(-1);
  const layers = info.layers ?? graph.nodes.filter(({ op }) => op === "nn.sdpa").length;
  return {
    get_max_seq_len: Math.min(positions, tokens),
    get_max_context_len: positions,
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
export function textBlobs({ info, report: { ops, sizes } }: Compiled): readonly NamedBlob[] {
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

/** A weight's elements as named data. */
export const weightBlob = (key: string, weight: WeightRef): NamedBlob => ({
  key,
  size: weightBytes(weight),
  async *stream() {
    if (rowCount(weight) * rowSize(weight) === 0) return;
    for await (const rows of streamRows(weight)) yield encodeElements(rows.dtype, rows.data);
  },
});

/** Bytes that a weight of a dtype and shape takes in a program. */
export const weightBytes = ({ dtype, shape }: Pick<WeightRef, "dtype" | "shape">): number =>
  isTernaryBlock(dtype)
    ? shape[0]! * packedRowBytes(dtype, shape[1]!)
    : byteLength(dtype, elementCount(shape));
