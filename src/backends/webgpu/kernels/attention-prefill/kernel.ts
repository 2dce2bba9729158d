import { ceilDivideDims, minOf, multiplyDims } from "../../../../tensor/dim.ts";
import { bindingsOf, refusalOfHeads, softcapFunction, vectorType } from "../../attention.ts";
import { serialThreads } from "../../attention-serial.ts";
import { defineKernel, type KernelCode } from "../../kernel.ts";
import type { Target } from "../../target.ts";
import { shader } from "../../wgsl.ts";
import { type AttentionPrefillParams, maskFunction, prefillVector, sharing } from "./params.ts";
import { serialParts, serialQueries } from "./serial.ts";
import { tiledParts, tiledThreads, tilingOf } from "./tiled.ts";

export const attentionPrefill = defineKernel<AttentionPrefillParams>({
  name: "attention-prefill",
  doc: "nn.sdpa of batch 1: softmax(scale · q·kᵀ + mask) · v of S tokens over T keys in caches or in rows of heads, with softcap, window and grouped heads; a query that sees no key gives zeros. Bindings: the rows' own (q, k, v or qkv, key_cache, value_cache), value f32; mask u32 or f32, where there is one; out value f32 rows of heads.",
  class: "attention",
  supports: (params) =>
    refusalOfHeads(params) ?? (minOf(params.first) < 0 ? "There may be fewer keys than queries." : undefined),
  build: prefillShader,
});

function prefillShader(params: AttentionPrefillParams, target: Target): KernelCode {
  const { query, key, value, mask, tokens, keyHeads } = params;
  const vector = prefillVector(params);
  const type = vectorType(vector);
  const isSerial = target.reduction === "serial";
  const { declarations, body } = isSerial ? serialParts(params, vector) : tiledParts(params, vector, target);
  const queries = isSerial ? serialQueries : tilingOf(params, target).queries;
  return shader(target, {
    bindings: {
      ...bindingsOf([query, key, value], type, "value"),
      ...(mask && {
        mask: { type: mask.kind === "bool" ? "array<u32>" : "array<f32>", access: mask.access },
      }),
      out: { type: `array<${type}>`, access: "value" },
    },
    workgroupSize: isSerial ? serialThreads : tiledThreads,
    workgroups: [ceilDivideDims(multiplyDims(tokens, sharing(params)), queries), keyHeads, 1],
    declarations: [softcapFunction(params), maskFunction(params), declarations].join("\n"),
    body,
  });
}
