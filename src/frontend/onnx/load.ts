import * as diagnostics from "../../diagnostics.ts";
import type { Diagnostic } from "../../errors.ts";
import { type Builder, Graph } from "../../ir/graph.ts";
import type { OpRegistry } from "../../ir/ops/index.ts";
import { inlineWeight } from "../../ir/weights.ts";
import type { FileSet, Source } from "../../tensor/source.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { ImportedModel, ModelInfo } from "../model.ts";
import { readTextFiles } from "../text-files.ts";
import { dataTypeName, dtypeOfDataType } from "./data-type.ts";
import { Faults } from "./faults.ts";
import { NodeImporter } from "./graph.ts";
import type { Importer } from "./importer.ts";
import type { OnnxGraph, OnnxValueInfo } from "./model.ts";
import { readOnnxModel } from "./read.ts";
import { failed, Scope } from "./scope.ts";
import { InputShapes } from "./shapes.ts";

export interface OnnxImportOptions {
  /** Values of inputs that are to be constants of the compiled program. */
  readonly constants?: Readonly<Record<string, Tensor>>;
  /** Importers that go before the built-in ones, by `domain::op_type`, or `::op_type` for the default domain. */
  readonly importers?: ReadonlyMap<string, Importer>;
  /** Hears of what is odd and does no harm. */
  readonly warn?: (warning: Diagnostic) => void;
}

/**
 * Imports an ONNX model (operator sets 7 and newer, any IR version). Weights stay in their files.
 * @param files the folder the model is in: external data, tokenizer.json and the other text files
 * @param ops the ops that importers may use
 * @throws BitnetcError listing everything that is wrong with the model or not supported; for inputs whose
 *   elements must be known at compile time, diagnostics of code `needs-constant-input` whose `at` is the input
 */
export async function importOnnx(
  source: Source,
  files: FileSet | undefined,
  ops: OpRegistry,
  options: OnnxImportOptions = {},
): Promise<ImportedModel> {
  const model = await readOnnxModel(source, files);
  const faults = new Faults();
  const info = await readInfo(files, options, faults);
  const graph = new Graph(ops);
  const b = graph.edit("import");
  const scope = new Scope(b, model.graph.initializers);
  for (const name of model.graph.sparseInitializers) {
    scope.bind(name, failed);
    faults.add(diagnostics.onnxUnsupported("the initializer", "it is a sparse tensor", name));
  }
  bindInputs(model.graph, b, scope, options.constants ?? {}, faults);
  const outputs = model.graph.outputs.map(({ name }) => name);
  const importer = new NodeImporter(b, faults, model.functions, options.importers ?? new Map());
  await importer.nodes(model.graph.nodes, outputs, scope, {
    opsets: model.opsets,
    attributes: new Map(),
    prefix: "",
    calls: [],
  });
  await bindOutputs(outputs, b, scope, faults);
  faults.throwIfAny();
  b.sweep();
  return { graph, info };
}

/** Inputs become inputs of the graph, except those that have a value: in the file (up to IR version 3), or given. */
function bindInputs(
  graph: OnnxGraph,
  b: Builder,
  scope: Scope,
  constants: Readonly<Record<string, Tensor>>,
  faults: Faults,
): void {
  const inputs = graph.inputs.filter(
    ({ name }) => !graph.initializers.has(name) && !graph.sparseInitializers.has(name),
  );
  const given = new Map(Object.entries(constants));
  const shapes = new InputShapes(inputs, new Map([...given].map(([name, { shape }]) => [name, shape])));
  for (const input of inputs) {
    const constant = given.get(input.name);
    const fault = constant === undefined ? inputFault(input) : constantFault(input, constant);
    if (fault !== undefined) {
      faults.add(fault);
      scope.bind(input.name, failed);
    } else if (constant !== undefined) {
      scope.bind(input.name, b.constant(inlineWeight(constant)));
    } else {
      const { dataType } = input.type as { readonly dataType: number };
      scope.bind(
        input.name,
        b.input(input.name, { dtype: dtypeOfDataType(dataType)!, shape: shapes.of(input) }),
      );
    }
    given.delete(input.name);
  }
  for (const name of given.keys())
    faults.add(
      diagnostics.onnxNoSuchInput(
        name,
        inputs.map((input) => input.name),
      ),
    );
}

/** What keeps an input from becoming an input of the graph. */
function inputFault({ name, type }: OnnxValueInfo): Diagnostic | undefined {
  if (typeof type !== "object") return diagnostics.onnxInputType(name, type ?? "value of unknown type");
  if (dtypeOfDataType(type.dataType) === undefined)
    return diagnostics.onnxInputType(name, `${dataTypeName(type.dataType)} tensor`);
  return type.shape === undefined ? diagnostics.onnxInputShape(name) : undefined;
}

function constantFault({ name, type }: OnnxValueInfo, { dtype, shape }: Tensor): Diagnostic | undefined {
  if (typeof type !== "object") return undefined;
  const isFit =
    dtype === dtypeOfDataType(type.dataType) &&
    (type.shape === undefined ||
      (type.shape.length === shape.length &&
        type.shape.every((size, i) => typeof size !== "number" || size === shape[i])));
  return isFit ? undefined : diagnostics.onnxConstantMismatch(name, `${dtype}[${shape.join(", ")}]`);
}

async function bindOutputs(
  names: readonly string[],
  b: Builder,
  scope: Scope,
  faults: Faults,
): Promise<void> {
  for (const name of names) {
    try {
      const value = await scope.find(name);
      if (value === undefined) faults.add(diagnostics.onnxUndefinedOutput(name));
      else if (typeof value === "object") b.output(name, value);
      else if (faults.diagnostics.length === 0)
        throw new Error(`the output ${name} was lost without a reason`);
    } catch (error) {
      faults.addThrown(error);
    }
  }
}

async function readInfo(
  files: FileSet | undefined,
  { warn }: OnnxImportOptions,
  faults: Faults,
): Promise<ModelInfo> {
  const none: ModelInfo = { frontend: "onnx", eosIds: [] };
  if (files === undefined) return none;
  try {
    return { ...none, ...(await readTextFiles(files, warn)) };
  } catch (error) {
    faults.addThrown(error);
    return none;
  }
}
