import { dataTypeName, dtypeOfDataType } from "../../frontend/onnx/data-type.ts";
import type { OnnxGraph, OnnxNodeRecord, OnnxTensor, OnnxValueInfo } from "../../frontend/onnx/model.ts";
import { readOnnxModel } from "../../frontend/onnx/read.ts";
import type { FileSet, Source } from "../../tensor/source.ts";
import { byteLength, elementCount } from "../../tensor/tensor.ts";
import type { Inspection } from "../commands/inspect.ts";
import { countNames, formatBytes, formatCounts, formatTable } from "../format.ts";
import { formatWeights, summarizeWeights } from "./weights.ts";

/** What the file itself says: nothing of it needs to be supported. */
export async function inspectOnnx(source: Source, files: FileSet | undefined): Promise<Inspection> {
  const { irVersion, producer, opsets, metadata, graph, functions } = await readOnnxModel(source, files);
  const inputs = graph.inputs.filter(({ name }) => !graph.initializers.has(name)).map(describeValue);
  const outputs = graph.outputs.map(describeValue);
  const nodes = countNames(
    allNodes(graph).map(({ domain, opType }) => (domain === "" ? opType : `${domain}.${opType}`)),
  );
  const weights = summarizeWeights([...graph.initializers.values()].map(storedSize));
  const json = {
    kind: "onnx",
    file: { name: source.name, size: source.size },
    irVersion,
    producer,
    opsets: Object.fromEntries([...opsets].map(([domain, version]) => [domain || "ai.onnx", version])),
    metadata: Object.fromEntries(metadata),
    inputs,
    outputs,
    nodes,
    functions: functions.map(({ domain, name }) => `${domain}.${name}`),
    weights,
  };
  const text =
    `${source.name}: ONNX model, ${formatBytes(source.size)}\n` +
    formatTable([
      ["producer", producer || "unknown"],
      [
        "operator sets",
        Object.entries(json.opsets)
          .map(([domain, version]) => `${domain} ${version}`)
          .join(", "),
      ],
      ["nodes", formatCounts(nodes)],
      ...(functions.length > 0 ? [["functions", json.functions.join(", ")] as const] : []),
      ["weights", formatWeights(weights)],
    ]) +
    `inputs\n${formatTable(inputs.map(valueRow))}` +
    `outputs\n${formatTable(outputs.map(valueRow))}`;
  return { json: () => json, text: () => text };
}

/** Nodes of the graph and of those within its nodes' attributes. */
function allNodes(graph: OnnxGraph): readonly OnnxNodeRecord[] {
  return graph.nodes.flatMap((node) => [
    node,
    ...[...node.attributes.values()].flatMap((attribute) =>
      attribute.kind === "graph" ? allNodes(attribute.value) : [],
    ),
  ]);
}

interface ValueDescription {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly (number | string | null)[] | null;
}

function describeValue({ name, type }: OnnxValueInfo): ValueDescription {
  if (type === undefined || typeof type === "string") return { name, dtype: type ?? "unknown", shape: null };
  const shape = type.shape?.map((size) => size ?? null) ?? null;
  return { name, dtype: dtypeOfDataType(type.dataType) ?? dataTypeName(type.dataType), shape };
}

const valueRow = ({ name, dtype, shape }: ValueDescription): readonly [string, string] => [
  name,
  `${dtype}${shape === null ? "" : ` [${shape.map((size) => size ?? "?").join(", ")}]`}`,
];

function storedSize({ dataType, shape }: OnnxTensor) {
  const dtype = dtypeOfDataType(dataType);
  const elements = elementCount(shape);
  return {
    dtype: dtype ?? dataTypeName(dataType),
    elements,
    bytes: dtype === undefined ? 0 : byteLength(dtype, elements),
  };
}
