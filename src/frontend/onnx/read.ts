import type { FileSet, Source } from "../../tensor/source.ts";
import { ExternalData } from "./external.ts";
import type { OnnxModel } from "./model.ts";
import { OnnxFileReader, opsetsOf } from "./proto.ts";

/**
 * Reads the structure of an ONNX model: all but the elements of its larger tensors.
 * @param files the folder the model is in, for tensors kept beside it
 * @throws BitnetcError when the file is cut short or is no ONNX model
 */
export async function readOnnxModel(source: Source, files?: FileSet): Promise<OnnxModel> {
  const { proto, graph, functions } = await new OnnxFileReader(source, new ExternalData(files)).model();
  return {
    irVersion: Number(proto.irVersion),
    producer: `${proto.producerName} ${proto.producerVersion}`.trim(),
    opsets: opsetsOf(proto.opsetImport),
    metadata: new Map(proto.metadataProps.map(({ key, value }) => [key ?? "", value ?? ""])),
    graph,
    functions,
  };
}
