import { readFileSync } from "node:fs";

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
