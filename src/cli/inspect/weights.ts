import { formatBytes } from "../format.ts";

interface WeightSummary {
  readonly tensors: number;
  readonly elements: number;
  readonly bytes: number;
  readonly byType: Readonly<
    Record<string, { readonly tensors: number; readonly elements: number; readonly bytes: number }>
  >;
}

export function summarizeWeights(
  weights: readonly { readonly dtype: string; readonly elements: number; readonly bytes: number }[],
): WeightSummary {
  const byType: Record<string, { tensors: number; elements: number; bytes: number }> = {};
  const total = { tensors: 0, elements: 0, bytes: 0 };
  for (const { dtype, elements, bytes } of weights) {
    byType[dtype] ??= { tensors: 0, elements: 0, bytes: 0 };
    for (const sum of [total, byType[dtype]]) {
      sum.tensors++;
      sum.elements += elements;
      sum.bytes += bytes;
    }
  }
  return { ...total, byType };
}

export function formatWeights({ tensors, elements, bytes, byType }: WeightSummary): string {
  const types = Object.entries(byType).sort(([, a], [, b]) => b.bytes - a.bytes);
  const parts = types.map(([dtype, sum]) => `${sum.tensors} ${dtype} ${formatBytes(sum.bytes)}`);
  return `${tensors} tensors, ${elements} elements, ${formatBytes(bytes)} (${parts.join(", ")})`;
}
