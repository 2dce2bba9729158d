import {
  bindingsOf,
  refusalOfHeads,
  refusalOfRotary,
  rotarySizes,
  rowReader,
  softcapFunction,
  tableType,
  type VectorWidth,
  vectorType,
  vectorWidth,
} from "../../attention.ts";
import { serialThreads } from "../../attention-serial.ts";
import { defineKernel, type KernelCode } from "../../kernel.ts";
import { defaultLimits, type Target } from "../../target.ts";
import { shader } from "../../wgsl.ts";
import { cooperativeParts, cooperativeThreads, cooperativeValueVector } from "./cooperative.ts";
import { type AttentionDecodeParams, decodeWorkgroups, groupsOf, splitStatements } from "./params.ts";
import { serialParts } from "./serial.ts";

export const attentionDecode = defineKernel<AttentionDecodeParams>({
  name: "attention-decode",
  doc: [
    "Attention (nn.sdpa) of one token at position start over positions 0 … start, cut into as many parts as partials has rows of a head: q and k are normalised by head where there is a norm, and rotated (nn.rope); k and v go to row start of their caches; partials f32 [splits, Hq, Dv + 4] gets, of each part and query head, Σ wⱼ·vⱼ, the largest score, Σ wⱼ and two zeros, with wⱼ = e^(scoreⱼ - largest). attention-combine makes one row of them.",
    "Bindings: the rows' own (qkv, or q, k, v), value f32; cos, sin constant f32 [T, R/2]; q_norm, k_norm constant f32 [D]; key_cache f32 [1, Hk, C, D], value_cache f32 [1, Hk, C, Dv], partials value.",
  ].join(" "),
  class: "attention",
  supports: (params, target) => {
    const refusal = refusalOfHeads(params) ?? refusalOfRotary(params.rope, params.width);
    if (refusal !== undefined) return refusal;
    const { maxStorageBuffersPerShaderStage: most } = defaultLimits;
    const count = decodeShader(params, target).bindings.filter(({ access }) => access !== "symbols").length;
    return count > most
      ? `It needs ${count} buffers, and a shader has ${most}: give it q, k and v in one.`
      : undefined;
  },
  build: (params, target) => decodeShader(params, target),
});

function decodeShader(params: AttentionDecodeParams, target: Target): KernelCode {
  const { chunk, width, valueWidth, keyHeads, query, key, value, rope, norm } = params;
  const vector = vectorWidth(
    width,
    valueWidth,
    ...rotarySizes(rope),
    ...[query, key, value].flatMap((rows) => [rows.headStride, rows.offset]),
  );
  const isSerial = target.reduction === "serial";
  const parts = isSerial ? serialParts(params, vector) : cooperativeParts(params, vector, target);
  const valueVector = isSerial ? vector : cooperativeValueVector(params, vector);
  const table = rope && ({ type: `array<${tableType(rope, vector)}>`, access: "constant" } as const);
  const normScale = { type: `array<${vectorType(vector)}>`, access: "constant" } as const;
  const cacheOf = (width: VectorWidth) => ({ type: `array<${vectorType(width)}>`, access: "value" }) as const;
  const reader = { vector, width, rope, norm };
  return shader(target, {
    bindings: {
      ...bindingsOf([query, key, value], vectorType(vector), "value"),
      ...(table && { cos: table, sin: table }),
      ...(norm && { q_norm: normScale, k_norm: normScale }),
      key_cache: cacheOf(vector),
      value_cache: cacheOf(valueVector),
      partials: { type: "array<f32>", access: "value" },
    },
    workgroupSize: isSerial ? serialThreads : cooperativeThreads,
    workgroups: decodeWorkgroups(params),
    declarations: [
      rowReader({ name: "query_row", binding: query.binding, normScale: "q_norm", ...reader }),
      rowReader({ name: "key_row", binding: key.binding, normScale: "k_norm", ...reader }),
      softcapFunction(params),
      parts.declarations,
    ].join("\n"),
    body: `
  ${splitStatements(params)}
  let first = (earliest / ${chunk}u + workgroup.y * chunks / splits) * ${chunk}u;
  let end = (earliest / ${chunk}u + (workgroup.y + 1u) * chunks / splits) * ${chunk}u;
  let key_head = workgroup.x / ${groupsOf(params) / keyHeads}u;
  ${parts.body}`,
  });
}
