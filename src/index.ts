/** The compiler as a library; `bitnetc/node` adds files, `bitnetc/runtime` runs programs. */
export { weightBytes } from "./backends/program-contents.ts";
export { defineKernel as defineGpuKernel, type Kernel as GpuKernel } from "./backends/webgpu/kernel.ts";
export type { Emitter } from "./backends/webgpu/lowering/emitter.ts";
export { type Group, groupOfOne, type Lowering, type Matching } from "./backends/webgpu/lowering/group.ts";
export type { Target } from "./backends/webgpu/target.ts";
export { shader, wgslFloat, wgslSize } from "./backends/webgpu/wgsl.ts";
export { type CompileResult, compile } from "./compiler/compile.ts";
export { emit } from "./compiler/emit.ts";
export { type Explanation, explain } from "./compiler/explain.ts";
export { type Lowered, load, lower } from "./compiler/lower.ts";
export {
  type CompileReport,
  countOps,
  type PhaseReport,
  type Sizes,
} from "./compiler/report.ts";
export { BitnetcError, type Diagnostic, formatDiagnostic } from "./errors.ts";
export type { Input } from "./frontend/index.ts";
export type { ModelInfo } from "./frontend/model.ts";
export type { ImportContext, Importer, OnnxAttribute, OnnxNode } from "./frontend/onnx/importer.ts";
export { type Builder, Graph, type Loc, type Node, type Value } from "./ir/graph.ts";
export { coreOps, type OpName, type OpRegistry, type Ops } from "./ir/ops/index.ts";
export {
  type ArgInfo,
  type Args,
  type AttrValue,
  InferenceError,
  type Kernel,
  type NoAttrs,
  type OpDef,
  type OpSignature,
  type WeightKind,
} from "./ir/ops/op.ts";
export { broadcastShapes } from "./ir/ops/shapes.ts";
export { parseGraph } from "./ir/parse.ts";
export { hashGraph, type PrintOptions, printGraph } from "./ir/print.ts";
export { formatType, sameType, type TensorType, tensorType } from "./ir/type.ts";
export { verifyGraph } from "./ir/verify.ts";
export { computedWeight, inlineWeight, mapRows, readWeight, type WeightRef } from "./ir/weights.ts";
export { type Options, type OptionsInput, optionsSchema } from "./options.ts";
export { definePass, type Pass, type PassContext, type Phase, phases } from "./passes/pass.ts";
export type { Hole, OptionalHole, PatternBuilder } from "./passes/pattern.ts";
export { pipeline } from "./passes/pipeline.ts";
export {
  type Match,
  type Miss,
  type NamedHoles,
  type Rule,
  type RuleReport,
  rewritePass,
  rule,
} from "./passes/rule.ts";
export { definePlugin, type PassPlace, type PhaseListener, type Plugin, type PluginBuild } from "./plugin.ts";
export { describeProgram, type ProgramDescription } from "./serialize/describe-program.ts";
export { type ProgramFile, readProgram } from "./serialize/program-reader.ts";
export type { WrittenProgram } from "./serialize/program-writer.ts";
export { type MemorySink, memorySink, type Sink } from "./serialize/sink.ts";
export { ceilDivideDims as ceilDivide, type Dim, symbol } from "./tensor/dim.ts";
export type { DType } from "./tensor/dtype.ts";
export { blobSource, bytesSource, type FileSet, memoryFiles, type Source } from "./tensor/source.ts";
export { type Tensor, tensor } from "./tensor/tensor.ts";
