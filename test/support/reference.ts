import { readFileSync } from "node:fs";
import type { Session } from "../../src/runtime/index.ts";

export interface ReferencePrompt {
  readonly text: string;
  readonly ids: readonly number[];
  /** f32 [ids, vocabulary], row-major. */
  readonly logits: Float32Array;
  readonly greedy: readonly number[];
}

interface Reference {
  readonly prompts: readonly ReferencePrompt[];
  readonly perplexity: number;
}

type Kind = "offline" | "online" | "packed";

/** One BitNet model, as a packed and as a master-weight checkpoint and from several exporters, and what each is held against. */
export const sources: readonly { readonly path: string; readonly kind: Kind }[] = [
  { path: "hf-packed", kind: "offline" },
  { path: "hf-bf16", kind: "online" },
  { path: "onnx/dynamo-kv.onnx", kind: "offline" },
  { path: "onnx/dynamo-kv-opset23.onnx", kind: "offline" },
  { path: "onnx/dynamo-external-kv.onnx", kind: "offline" },
  { path: "onnx/dynamo-online-kv.onnx", kind: "online" },
  { path: "onnx/dynamo-packed-kv.onnx", kind: "packed" },
  { path: "onnx/torchscript-kv.onnx", kind: "offline" },
  { path: "onnx/dynamo-nokv.onnx", kind: "offline" },
];

/** What transformers computed, for the three ways it has to compute a BitNet linear. */
export function readReference(
  folder: string,
): { readonly [K in Kind]: Reference } & { readonly validation: readonly number[] } {
  const json = JSON.parse(readFileSync(`${folder}/reference.json`, "utf8"));
  const tensors = readTensors(readFileSync(`${folder}/reference.safetensors`));
  const of = (kind: Kind): Reference => ({
    prompts: ["p0", "p1", "p2"].map((name) => ({
      text: json[`${kind}.${name}`].prompt,
      ids: json[`${kind}.${name}`].input_ids,
      logits: tensors(`${kind}.${name}.logits`),
      greedy: json[`${kind}.${name}`].greedy_ids,
    })),
    perplexity: json[`${kind}.perplexity`].ppl,
  });
  return {
    offline: of("offline"),
    online: of("online"),
    packed: of("packed"),
    validation: JSON.parse(readFileSync(`${folder}/val_ids.json`, "utf8")),
  };
}

/** How a session's logits after each token of a prompt agree with the reference's. */
export interface Agreement {
  /** Positions. */
  readonly positions: number;
  /** Those at which the largest logit is the reference's. */
  readonly top1: number;
  /** The largest difference of two logits. */
  readonly difference: number;
}

export async function compareLogits(session: Session, { ids, logits }: ReferencePrompt): Promise<Agreement> {
  const width = logits.length / ids.length;
  let [positions, top1, difference] = [0, 0, 0];
  for await (const ours of session.logits(ids)) {
    const theirs = logits.subarray(positions * width, ++positions * width);
    if (argmax(ours) === argmax(theirs)) top1++;
    for (let i = 0; i < width; i++) difference = Math.max(difference, Math.abs(ours[i]! - theirs[i]!));
  }
  return { positions, top1, difference };
}

/** The tokens that greedy generation continues a prompt with. */
export async function greedyTokens(
  session: Session,
  ids: readonly number[],
  maxNewTokens: number,
): Promise<readonly number[]> {
  const tokens: number[] = [];
  for await (const { id } of session.generate({ ids }, { maxNewTokens })) tokens.push(id);
  return tokens;
}

function argmax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/** Reads f32 tensors of a safetensors file, independently of the reader under test. */
function readTensors(file: Buffer): (name: string) => Float32Array {
  const headerSize = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + headerSize).toString());
  return (name) => {
    const [from, to] = header[name].data_offsets as [number, number];
    return new Float32Array(
      Uint8Array.from(file.subarray(8 + headerSize + from, 8 + headerSize + to)).buffer,
    );
  };
}
