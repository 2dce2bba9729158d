import { bytesSource, readAll } from "../../../src/tensor/source.ts";
import { type GraphFields, graphAttribute, modelBytes, node, onnx, value } from "../../onnx/build-model.ts";
import { dataTypes } from "../onnx-writer.ts";
import type { ExportedModel } from "./run.ts";

/**
 * A decoder with and one without a past in one file, as optimum merges them for transformers.js: an If on the
 * input use_cache_branch.
 */
export async function mergedDecoder(model: ExportedModel, other: ExportedModel): Promise<ExportedModel> {
  const [decoded, otherDecoded] = await Promise.all(
    [model, other].map(async ({ source }) => onnx.ModelProto.decode(await readAll(source))),
  );
  const outputs = decoded!.graph!.output!;
  const names = outputs.map(({ name }) => name!);
  const branch = (graph: GraphFields, prefix: string): GraphFields => {
    const own = new Set([
      ...graph.initializer!.map(({ name }) => name!),
      ...graph.node!.flatMap(({ output }) => output ?? []),
    ]);
    const renamed = (name: string) => (own.has(name) ? prefix + name : name);
    return {
      name: prefix,
      initializer: graph.initializer!.map((each) => ({ ...each, name: renamed(each.name!) })),
      node: graph.node!.map((each) => ({
        ...each,
        input: each.input!.map(renamed),
        output: each.output!.map(renamed),
      })),
      output: names.map((name) => ({ name: renamed(name) })),
    };
  };
  const graph: GraphFields = {
    name: "merged",
    input: [...decoded!.graph!.input!, value("use_cache_branch", dataTypes.bool, [1])],
    output: outputs,
    node: [
      node("If", ["use_cache_branch"], names, [
        graphAttribute("then_branch", branch(decoded!.graph!, "with_past/")),
        graphAttribute("else_branch", branch(otherDecoded!.graph!, "without_past/")),
      ]),
    ],
  };
  const opsets = Object.fromEntries(
    decoded!.opsetImport!.map(({ domain, version }) => [domain ?? "", Number(version)]),
  );
  return { ...model, source: bytesSource("decoder_model_merged.onnx", modelBytes({ graph, opsets })) };
}
