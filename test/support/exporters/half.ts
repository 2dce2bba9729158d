import { bytesSource, readAll } from "../../../src/tensor/source.ts";
import { decodeElements, encodeElements, type Tensor, tensor } from "../../../src/tensor/tensor.ts";
import { onnx } from "../../onnx/build-model.ts";
import { dataTypes } from "../onnx-writer.ts";
import type { ExportedModel } from "./run.ts";

/** The model with every f32 made a 16-bit float, as converters and `dtype` options of exporters do it. */
export async function inHalf(model: ExportedModel, dtype: "f16" | "bf16"): Promise<ExportedModel> {
  const decoded = onnx.ModelProto.decode(await readAll(model.source));
  const graph = decoded.graph!;
  const narrow = (type: number | null | undefined) => (type === dataTypes.f32 ? dataTypes[dtype] : type);
  const narrowed = (data: Tensor): Tensor => tensor(dtype, data.shape, Array.from(data.data));
  const tensors = [
    ...graph.initializer!,
    ...graph.node!.flatMap(({ attribute }) => (attribute ?? []).flatMap(({ t }) => t ?? [])),
  ];
  for (const each of tensors) {
    if (each.dataType !== dataTypes.f32) continue;
    const shape = each.dims!.map(Number);
    const count = shape.reduce((n, size) => n * size, 1);
    const { data } = narrowed({
      dtype: "f32",
      shape,
      data: decodeElements("f32", Uint8Array.from(each.rawData!), count),
    });
    Object.assign(each, { dataType: dataTypes[dtype], rawData: encodeElements(dtype, data) });
  }
  for (const { type } of [...graph.input!, ...graph.output!]) {
    const declared = type!.tensorType!;
    declared.elemType = narrow(declared.elemType) ?? 0;
  }
  for (const { opType, attribute } of graph.node!)
    if (opType === "Cast") for (const to of attribute!) to.i = narrow(Number(to.i)) ?? 0;
  return {
    ...model,
    source: bytesSource("model_fp16.onnx", onnx.ModelProto.encode(decoded).finish()),
    caches: model.caches.map((cache) => ({ ...cache, empty: narrowed(cache.empty) })),
  };
}
