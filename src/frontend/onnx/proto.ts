import onnxProto from "onnx-proto";
import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError } from "../../errors.ts";
import type { Source } from "../../tensor/source.ts";
import type { ExternalData } from "./external.ts";
import type {
  OnnxAttributeRecord,
  OnnxAttributeValue,
  OnnxFunction,
  OnnxGraph,
  OnnxNodeRecord,
  OnnxTensorType,
  OnnxValueInfo,
} from "./model.ts";
import { readTensor, toNumber } from "./tensor.ts";
import { MessageReader, type Span } from "./wire.ts";

const { onnx } = onnxProto;
type AttributeProto = InstanceType<typeof onnx.AttributeProto>;
type ValueInfoProto = Parameters<typeof onnx.ValueInfoProto.create>[0];

/** Field numbers of onnx.proto: of the fields that are walked, and of those that are left unread. */
const fields = {
  model: { doc: 6, graph: 7, training: 20, functions: 25, configuration: 26 },
  graph: { node: 1, initializer: 5, doc: 10, valueInfo: 13, quantization: 14, sparse: 15, metadata: 16 },
  node: { attribute: 5, doc: 6, overload: 8, metadata: 9, device: 10 },
  attribute: { tensor: 5, graph: 6, tensors: 10, graphs: 11, doc: 13, sparse: 22, sparses: 23 },
  function: { node: 7, doc: 8, defaults: 11, valueInfo: 12, overload: 13, metadata: 14 },
};
const setOf = (numbers: Readonly<Record<string, number>>): ReadonlySet<number> =>
  new Set(Object.values(numbers));
const walked = {
  model: setOf(fields.model),
  graph: setOf(fields.graph),
  node: setOf(fields.node),
  attribute: setOf(fields.attribute),
  function: setOf(fields.function),
};

/** Walks a model file. The messages are those of onnx.proto (github.com/onnx/onnx, onnx/onnx.proto). */
export class OnnxFileReader {
  readonly #reader: MessageReader;
  readonly #external: ExternalData;

  constructor(source: Source, external: ExternalData) {
    this.#reader = new MessageReader(source);
    this.#external = external;
  }

  /** The model's own fields, its graph and its functions. */
  async model() {
    const { source } = this.#reader;
    const span = { from: 0, to: source.size };
    const { rest, located } = await this.#reader.split(span, (number) => walked.model.has(number));
    const proto = this.#reader.decode(onnx.ModelProto, rest, span);
    const graph = located.find((part) => part.field === fields.model.graph);
    if (graph === undefined) throw new BitnetcError(diagnostics.onnxNoGraph(source.name));
    const functions: OnnxFunction[] = [];
    for (const part of located)
      if (part.field === fields.model.functions) functions.push(await this.#function(part));
    return { proto, graph: await this.graph(graph), functions };
  }

  async graph(span: Span): Promise<OnnxGraph> {
    const { rest, located } = await this.#reader.split(span, (number) => walked.graph.has(number));
    const proto = this.#reader.decode(onnx.GraphProto, rest, span);
    const nodes: OnnxNodeRecord[] = [];
    const initializers: OnnxGraph["initializers"] & Map<string, unknown> = new Map();
    const sparseInitializers = new Set<string>();
    for (const part of located) {
      if (part.field === fields.graph.node) nodes.push(await this.#node(part));
      if (part.field === fields.graph.initializer) {
        const tensor = await readTensor(this.#reader, part, this.#external, "an initializer");
        initializers.set(tensor.name, tensor);
      }
      if (part.field === fields.graph.sparse) {
        const sparse = this.#reader.decode(onnx.SparseTensorProto, await this.#reader.bytes(part), part);
        sparseInitializers.add(sparse.values?.name ?? "");
      }
    }
    return {
      name: proto.name,
      inputs: proto.input.map(valueInfo),
      outputs: proto.output.map(valueInfo),
      initializers,
      sparseInitializers,
      nodes,
    };
  }

  async #node(span: Span): Promise<OnnxNodeRecord> {
    const { rest, located } = await this.#reader.split(span, (number) => walked.node.has(number));
    const proto = this.#reader.decode(onnx.NodeProto, rest, span);
    const attributes = new Map<string, OnnxAttributeRecord>();
    let overload = "";
    for (const part of located) {
      if (part.field === fields.node.attribute) attributes.set(...(await this.#attribute(part)));
      if (part.field === fields.node.overload) overload = await this.#text(part);
    }
    return {
      opType: proto.opType,
      domain: domainOf(proto.domain),
      overload,
      name: proto.name,
      inputs: proto.input,
      outputs: proto.output,
      attributes,
    };
  }

  async #attribute(span: Span): Promise<[string, OnnxAttributeRecord]> {
    const { rest, located } = await this.#reader.split(span, (number) => walked.attribute.has(number));
    const proto = this.#reader.decode(onnx.AttributeProto, rest, span);
    if (proto.refAttrName) return [proto.name, { kind: "reference", name: proto.refAttrName }];
    for (const part of located) {
      if (part.field === fields.attribute.tensor) {
        const value = await readTensor(this.#reader, part, this.#external, `the attribute ${proto.name}`);
        return [proto.name, { kind: "tensor", value }];
      }
      if (part.field === fields.attribute.graph)
        return [proto.name, { kind: "graph", value: await this.graph(part) }];
      if (part.field !== fields.attribute.doc)
        return [proto.name, { kind: "other", what: otherAttributes.get(part.field) ?? "" }];
    }
    return [proto.name, plainAttribute(proto)];
  }

  async #function(span: Span): Promise<OnnxFunction> {
    const { rest, located } = await this.#reader.split(span, (number) => walked.function.has(number));
    const proto = this.#reader.decode(onnx.FunctionProto, rest, span);
    const nodes: OnnxNodeRecord[] = [];
    const defaults = new Map<string, OnnxAttributeValue>();
    let overload = "";
    for (const part of located) {
      if (part.field === fields.function.node) nodes.push(await this.#node(part));
      if (part.field === fields.function.defaults) {
        const [name, value] = await this.#attribute(part);
        if (value.kind !== "reference") defaults.set(name, value);
      }
      if (part.field === fields.function.overload) overload = await this.#text(part);
    }
    return {
      name: proto.name,
      domain: domainOf(proto.domain),
      overload,
      inputs: proto.input,
      outputs: proto.output,
      defaults,
      opsets: opsetsOf(proto.opsetImport),
      nodes,
    };
  }

  async #text(span: Span): Promise<string> {
    return utf8(await this.#reader.bytes(span));
  }
}

const otherAttributes = new Map([
  [fields.attribute.tensors, "a list of tensors"],
  [fields.attribute.graphs, "a list of graphs"],
  [fields.attribute.sparse, "a sparse tensor"],
  [fields.attribute.sparses, "a list of sparse tensors"],
]);

/** Attributes without a tensor or a graph in them. Files of IR version 1 do not say the type: the field does. */
function plainAttribute(proto: AttributeProto): OnnxAttributeValue {
  const types = onnx.AttributeProto.AttributeType;
  switch (proto.type) {
    case types.FLOAT:
      return { kind: "number", value: proto.f };
    case types.INT:
      return { kind: "number", value: toNumber(proto.i) };
    case types.STRING:
      return { kind: "string", value: utf8(proto.s) };
    case types.FLOATS:
      return { kind: "numbers", value: proto.floats };
    case types.INTS:
      return { kind: "numbers", value: proto.ints.map(toNumber) };
    case types.STRINGS:
      return { kind: "strings", value: proto.strings.map(utf8) };
    case types.UNDEFINED:
      if (proto.floats.length > 0) return { kind: "numbers", value: proto.floats };
      if (proto.ints.length > 0) return { kind: "numbers", value: proto.ints.map(toNumber) };
      if (proto.strings.length > 0) return { kind: "strings", value: proto.strings.map(utf8) };
      if (Object.hasOwn(proto, "f")) return { kind: "number", value: proto.f };
      if (Object.hasOwn(proto, "i")) return { kind: "number", value: toNumber(proto.i) };
      if (Object.hasOwn(proto, "s")) return { kind: "string", value: utf8(proto.s) };
      return { kind: "numbers", value: [] };
    default:
      return { kind: "other", what: `an attribute of type ${types[proto.type] ?? proto.type}` };
  }
}

function valueInfo(proto: NonNullable<ValueInfoProto>): OnnxValueInfo {
  const type = proto.type;
  const tensor = type?.tensorType;
  const name = proto.name ?? "";
  if (tensor) return { name, type: tensorType(tensor) };
  const other = (["sequenceType", "mapType", "optionalType", "sparseTensorType"] as const).find(
    (kind) => type?.[kind],
  );
  return { name, type: other?.replace(/Type$/, "") };
}

function tensorType(
  proto: NonNullable<NonNullable<NonNullable<ValueInfoProto>["type"]>["tensorType"]>,
): OnnxTensorType {
  const shape = proto.shape?.dim?.map((dim) => {
    if (dim.dimParam) return dim.dimParam;
    const size = dim.dimValue == null ? -1 : toNumber(dim.dimValue);
    return size < 0 ? undefined : size;
  });
  return { dataType: proto.elemType ?? 0, shape };
}

/** "ai.onnx" is another name of the default domain. */
const domainOf = (domain: string | null | undefined): string => (domain === "ai.onnx" ? "" : (domain ?? ""));

interface OpsetImport {
  readonly domain?: string | null;
  readonly version?: number | { toNumber(): number } | null;
}

export const opsetsOf = (imports: readonly OpsetImport[]): ReadonlyMap<string, number> =>
  new Map(imports.map(({ domain, version }) => [domainOf(domain), toNumber(version)]));

const decoder = new TextDecoder();
const utf8 = (bytes: Uint8Array): string => decoder.decode(bytes);
