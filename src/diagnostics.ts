import type { Diagnostic } from "./errors.ts";

// Factories of every message of the product, by area. The code is the area and the fault, and never changes once
// published. Each is an export of its own, to be used as `import * as diagnostics`: a bundle then holds only those
// that it needs.

const error = (code: string, message: string, at?: string, hint?: string): Diagnostic => ({
  code,
  severity: "error",
  message,
  ...(at === undefined ? {} : { at }),
  ...(hint === undefined ? {} : { hint }),
});

const warning = (code: string, message: string, at?: string, hint?: string): Diagnostic => ({
  ...error(code, message, at, hint),
  severity: "warning",
});

// Files
export const fileMissing = (path: string) => error("file-missing", `There is no file ${path}.`, path);
export const fileOutside = (path: string, folder: string) =>
  error(
    "file-outside",
    `The path ${path} leads out of ${folder}.`,
    path,
    "A model's files lie in its own folder.",
  );
export const fileRead = (path: string, why: string) =>
  error("file-read", `The file cannot be read: ${why}.`, path);
export const fileTruncated = (path: string, need: number, have: number) =>
  error("file-truncated", `The file ends too early: ${need} bytes are needed, ${have} are there.`, path);
export const outputIsInput = (path: string) =>
  error(
    "output-is-input",
    `The model itself is read from ${path}, which the output would replace.`,
    path,
    "Give another name to the output.",
  );
export const fileWrite = (path: string, why: string) =>
  error("file-write", `The file cannot be written: ${why}.`, path);
export const fileNotText = (path: string) => error("file-not-text", "This is not UTF-8 text.", path);
export const jsonSyntax = (path: string, detail: string) =>
  error("json-syntax", `This is not valid JSON: ${detail}.`, path);
export const jsonField = (path: string, field: string, detail: string) =>
  error(
    "json-field",
    `${field === "" ? "The file" : `The field ${field}`} is not as it should be: ${detail}.`,
    path,
  );
export const npy = (path: string, why: string) =>
  error("npy", `This is not a .npy file that can be read: ${why}.`, path);
export const unknownInputKind = (path: string) =>
  error(
    "input-kind",
    "This is neither an ONNX model nor a checkpoint.",
    path,
    "Give a .onnx file, a folder with config.json and *.safetensors, or a .safetensors file beside its config.json.",
  );

// The command line, options and plugins
export const usage = (message: string, hint?: string) => error("usage", message, undefined, hint);
export const option = (name: string, problem: string) =>
  error("option", `The option ${name} is not valid: ${problem}.`, name);
export const configFile = (path: string, problem: string) =>
  error("config-file", `The configuration file ${problem}.`, path);
export const pluginFile = (path: string, problem: string) =>
  error("plugin-file", `The plugin ${problem}.`, path);
export const pluginClash = (plugin: string, kind: string, name: string) =>
  error("plugin-clash", `The plugin ${plugin} adds the ${kind} ${name}, but there is one already.`, plugin);
export const pluginTarget = (plugin: string, kind: string, name: string, known: readonly string[]) =>
  error(
    "plugin-target",
    `The plugin ${plugin} refers to the ${kind} ${name}, but there is none.`,
    plugin,
    `There are ${known.join(", ")}.`,
  );
export const pluginNotRules = (plugin: string, rule: string, pass: string, known: readonly string[]) =>
  error(
    "plugin-target",
    `The plugin ${plugin} adds the rule ${rule} to the pass ${pass}, which is not made of rules.`,
    plugin,
    `These are: ${known.join(", ")}.`,
  );
export const pluginInvalid = (plugin: string, what: string, problem: string) =>
  error("plugin-invalid", `The plugin ${plugin} adds ${what} that is not valid: ${problem}.`, plugin);
export const pluginFailed = (plugin: string, what: string, message: string) =>
  error(
    "plugin-failed",
    `The plugin ${plugin} failed in ${what}: ${message}`,
    plugin,
    "Run it again with --verbose to see where.",
  );
export const rulesEndless = (rules: readonly string[], rounds: number) =>
  error(
    "rules-endless",
    `The rules ${rules.join(", ")} still apply after ${rounds} rounds: what they build is what they look for.`,
  );

// ONNX models
export const onnxCorrupt = (path: string, offset: number) =>
  error(
    "onnx-corrupt",
    `This is no ONNX model, or it is damaged: what is at byte ${offset} cannot be read.`,
    path,
  );
export const onnxNoGraph = (path: string) =>
  error("onnx-no-graph", "This is no ONNX model: there is no graph in it.", path);
export const onnxOpset = (version: number | undefined, oldest: number, at: string) =>
  error(
    "onnx-opset",
    version === undefined
      ? "The model uses ops of the default domain without saying which version of them."
      : `The model uses version ${version} of the default operator set; ${oldest} is the oldest that is supported.`,
    at,
    "Export the model again, or convert it with ONNX's version converter.",
  );
export const onnxTensorSize = (tensor: string, need: number, have: number) =>
  error(
    "onnx-tensor-size",
    `A tensor of its type and shape takes ${need} bytes; its data has ${have}.`,
    tensor,
  );
export const onnxTensorPieces = (tensor: string) =>
  error(
    "onnx-tensor-pieces",
    "The data of the tensor comes in several pieces, which is not supported.",
    tensor,
  );
export const onnxDataType = (tensor: string, type: string) =>
  error("onnx-data-type", `Tensors of ${type} elements are not supported.`, tensor);
export const onnxExternalPath = (tensor: string, location: string) =>
  error(
    "onnx-external-path",
    `The data of the tensor is said to be in "${location}", which is not in the model's folder.`,
    tensor,
  );
export const onnxExternalMissing = (tensor: string, path: string) =>
  error(
    "onnx-external-missing",
    `There is no file ${path} beside the model, which holds the data of the tensor.`,
    tensor,
  );
export const onnxInputType = (name: string, type: string) =>
  error("onnx-input-type", `The input is a ${type}, which is not supported.`, name);
export const onnxInputShape = (name: string) =>
  error("onnx-input-shape", "The model does not say how many dimensions the input has.", name);
export const onnxNoSuchInput = (name: string, inputs: readonly string[]) =>
  error("onnx-no-such-input", `The model has no input ${name}; its inputs are ${inputs.join(", ")}.`, name);
export const onnxConstantMismatch = (name: string, given: string) =>
  error("onnx-constant-mismatch", `The value ${given} does not fit the type that the model declares.`, name);
export const onnxUndefinedValue = (name: string, node: string) =>
  error("onnx-undefined-value", `The node takes "${name}", which no node before it computes.`, node);
export const onnxUndefinedOutput = (name: string) =>
  error("onnx-undefined-output", "No node computes this output of the model.", name);
export const onnxUnsupportedOp = (op: string, node: string) =>
  error("onnx-unsupported-op", `The op ${op} is not supported.`, node, "A plugin can add ops (`onnxOp`).");
export const onnxUnsupported = (op: string, sentence: string, node: string) =>
  error("onnx-unsupported", `${op}: ${sentence}.`, node);
export const onnxMissingInput = (op: string, index: number, node: string) =>
  error("onnx-missing-input", `${op} lacks its input ${index}.`, node);
export const onnxAttribute = (op: string, name: string, expected: string, isGiven: boolean, node: string) =>
  error(
    "onnx-attribute",
    isGiven
      ? `The attribute ${name} of ${op} must be ${expected}.`
      : `${op} lacks its attribute ${name}, ${expected}.`,
    node,
  );
export const onnxInvalidNode = (detail: string, node: string) =>
  error("onnx-invalid-node", `The arguments of the node do not fit: ${detail}`, node);
export const onnxRecursion = (fn: string, node: string) =>
  error("onnx-recursion", `The function ${fn} calls itself.`, node);
export const onnxNotConstant = (what: string, sizes: readonly string[], node: string) =>
  error(
    "onnx-not-constant",
    `${what} must be known at compile time${sizes.length > 0 ? `, but depends on the size ${sizes.join(", ")}` : ""}.`,
    node,
  );
export const needsConstantInput = (input: string, what: string, node: string) =>
  error(
    "needs-constant-input",
    `The input ${input} must be known at compile time: ${what} depends on it (${node}).`,
    input,
    "Give it a value when compiling.",
  );

// Checkpoints
export const checkpointConfigMissing = (set: string) =>
  error(
    "checkpoint-config-missing",
    "There is no config.json, which says what the weights are.",
    set,
    "Put the model's config.json beside its weights.",
  );
export const checkpointArchitecture = (given: string, known: readonly string[]) =>
  error(
    "checkpoint-architecture",
    `The field architectures names ${given}; ${known.join(", ")} are supported.`,
    "config.json",
  );
export const checkpointField = (field: string, why: string) =>
  error("checkpoint-field", `The field ${field} asks for what is not supported: ${why}.`, "config.json");
export const checkpointWeights = (set: string, candidates: readonly string[]) =>
  error(
    "checkpoint-weights",
    candidates.length === 0
      ? "There are no weights: neither model.safetensors nor model.safetensors.index.json."
      : `There are several weight files (${candidates.join(", ")}) and none is called model.safetensors.`,
    set,
    candidates.length === 0
      ? "Weights in other formats must be saved as safetensors first."
      : "Name one of them.",
  );
export const checkpointIndex = (tensor: string, file: string) =>
  error("checkpoint-index", `The index says that ${tensor} is in ${file}, where it is not.`, file);
export const safetensorsHeader = (file: string, detail: string) =>
  error("safetensors-header", `The header of the safetensors file is not valid: ${detail}.`, file);
export const safetensorsTensor = (file: string, tensor: string, detail: string) =>
  error(
    "safetensors-tensor",
    `The entry of ${tensor} in the safetensors header is not valid: ${detail}.`,
    file,
  );
export const safetensorsTruncated = (
  file: string,
  need: number,
  have: number,
  tensor: string,
  count: number,
) =>
  error(
    "safetensors-truncated",
    `The safetensors file ends too early: ${need} bytes are needed, ${have} are there; ${count === 1 ? tensor : `${count} tensors, ${tensor} the first of them,`} cannot be read.`,
    file,
    "Download the file again.",
  );
export const tensorMissing = (tensor: string, shape: readonly number[]) =>
  error(
    "tensor-missing",
    `The checkpoint lacks the tensor ${tensor} of shape [${shape.join(", ")}].`,
    tensor,
  );
export const tensorShape = (
  tensor: string,
  file: string,
  shape: readonly number[],
  expected: readonly (readonly number[])[],
) =>
  error(
    "tensor-shape",
    `The tensor ${tensor} has shape [${shape.join(", ")}], and ${expected.map((sizes) => `[${sizes.join(", ")}]`).join(" or ")} is expected.`,
    file,
  );
export const tensorDType = (tensor: string, file: string, dtype: string, expected: string) =>
  error("tensor-dtype", `The tensor ${tensor} holds ${dtype}, and ${expected} are expected.`, file);
export const tensorUnknown = (tensor: string, file: string) =>
  error(
    "tensor-unknown",
    `The tensor ${tensor} belongs to the decoder, but config.json describes no part that uses it.`,
    file,
    "Check the fields of config.json: layers, biases, use_rms_norm, the architecture.",
  );
export const tensorIgnored = (tensor: string, file: string) =>
  warning("tensor-ignored", `The tensor ${tensor} is not part of the decoder and is left out.`, file);
export const packedWithoutConfig = (tensor: string) =>
  error(
    "packed-without-config",
    `The weight ${tensor} is packed, but config.json has no quantization_config to say which way its scale goes.`,
    "config.json",
    'Add quantization_config with quant_method "bitnet" and the linear_class that the weights were saved for.',
  );
export const weightNotTernary = (tensor: string, miss: string) =>
  error(
    "weight-not-ternary",
    `The weight ${tensor} is neither packed nor ternary, as the quantization_mode "offline" says it is: ${miss}.`,
    tensor,
    'If these are master weights, set quantization_mode to "online" in config.json.',
  );
export const weightScale = (tensor: string, value: number) =>
  error("weight-scale", `The scale ${tensor} is ${value}, and a positive number is expected.`, tensor);
export const headAssumedTied = () =>
  warning(
    "head-assumed-tied",
    "There is no lm_head.weight, and config.json does not say whether it is tied: the embedding serves as the head.",
    "config.json",
  );
export const headNotTied = () =>
  warning(
    "head-not-tied",
    "config.json says that the head is tied to the embedding, but lm_head.weight differs from it and is used.",
    "lm_head.weight",
  );
export const beyondTraining = (length: number, trained: number) =>
  warning("beyond-training", `The model was made for ${trained} positions; ${length} are asked for.`);
export const chatTemplateChosen = (name: string) =>
  warning(
    "chat-template-chosen",
    `None of the chat templates is called "default": "${name}" is taken.`,
    "tokenizer_config.json",
  );

// Weights and their packing
export const weightNotFinite = (weight: string) =>
  error("weight-not-finite", "The weight has values that are infinite or not a number.", weight);
export const weightPackedCode = (weight: string, row: number) =>
  error(
    "weight-packed-code",
    `The packed weight holds the code 3, which is no ternary value, in row ${row}: it is corrupt.`,
    weight,
  );
export const weightPackedByte = (weight: string, value: number) =>
  error("weight-packed-byte", `The packed weight holds ${value}, which is not a byte.`, weight);
export const weightAllZero = (at: string) =>
  warning("weight-all-zero", "Every element of the weight is zero.", at);
export const packedTooShort = (dtype: string, need: number, have: number) =>
  error(
    "packing-truncated",
    `Packed ${dtype} weights end too early: ${need} bytes are needed, ${have} are there.`,
  );
export const packedCode = (dtype: string, byte: number, row: number, block: number) =>
  error(
    "packing-code",
    `Byte ${byte} stands for no ternary weights in ${dtype}: the weights are corrupt.`,
    `row ${row}, block ${block}`,
  );
export const packedScale = (dtype: string, scale: number, row: number, block: number) =>
  error(
    "packing-scale",
    `A ${dtype} block has the scale ${scale} where 1 is expected.`,
    `row ${row}, block ${block}`,
  );
export const packedScaleInexact = (scale: number) =>
  error(
    "packing-scale-inexact",
    `A block scale of ${scale} cannot be held exactly in 16 bits.`,
    undefined,
    "Keep block scales at 1 and the weight scale beside them, in f32.",
  );

// What passes find
export const inputMeaning = (name: string, type: string) =>
  error(
    "input-meaning",
    `What the input ${name} (${type}) holds is not clear: it is no token id, position, padding mask, attention mask or cache.`,
    name,
    "Export the model with input_ids, attention_mask, position_ids and past key/values only.",
  );
export const cacheUse = (name: string) =>
  error(
    "cache-use",
    `The cache ${name} is used in another way than being appended to, so it cannot be kept in place.`,
    name,
  );
export const tooFewPositions = (asked: number, there: number) =>
  error(
    "max-seq-len",
    `The program is to have room for ${asked} positions, but the model's tables or caches end after ${there}.`,
    "maxSeqLen",
    `Ask for ${there} or fewer.`,
  );

// Program files
export const programTruncated = (path: string, need: number, have: number) =>
  error(
    "program-truncated",
    `The program is cut short: ${need} bytes are needed, ${have} are there.`,
    path,
    "Copy or download the file again.",
  );
export const programIdentifier = (path: string, found: string) =>
  error(
    "program-identifier",
    `This is not a program file: it is marked ${JSON.stringify(found)}, not "ET12".`,
    path,
    "Give a .pte file.",
  );
export const programCorrupt = (path: string, why: string) =>
  error(
    "program-corrupt",
    `The program is corrupt: ${why}.`,
    path,
    "Compile, copy or download the file again.",
  );
export const vulkanCorrupt = (at: string, why: string) =>
  error("vulkan-corrupt", `The blob of the Vulkan delegate cannot be read: ${why}.`, at);
export const programVersion = (path: string, have: number, known: number) =>
  error(
    "program-version",
    `The program's graph is of version ${have}, and versions up to ${known} are known.`,
    path,
    "Use the version of bitnetc that compiled it, or a newer one.",
  );
export const programHash = (path: string, part: string) =>
  error(
    "program-hash",
    `The part ${part} is not what it was when the program was written: its SHA-256 differs.`,
    path,
    "Copy or download the file again.",
  );
const forStock =
  "Programs for the stock ExecuTorch runtime need `portable: openPortable` of bitnetc/runtime/portable.";
export const programBackend = (path: string, backends: readonly string[]) =>
  error(
    "program-backend",
    backends.length === 0
      ? "The program has no method forward that can be run here."
      : `The program is for ${backends.join(", ")}, which does not run here.`,
    path,
    backends.length === 0 ? forStock : `Compile the model with --backend webgpu. ${forStock}`,
  );

// Running programs
interface Refused {
  readonly op: string;
  readonly source: string;
  readonly why: string;
}

export const unboundedSize = (input: string, axis: number, size: string): Diagnostic =>
  error(
    "unbounded-size",
    `Axis ${axis} of the input ${input}, ${size}, can be of any size, and ExecuTorch plans memory for the largest.`,
    input,
    "Export the model with a size there; bitnetc itself runs it with the backend webgpu.",
  );
export const q4Shape = (source: string, [rows, columns]: readonly number[]): Diagnostic =>
  error(
    "q4-shape",
    `--embedding q4 takes a number of rows that four divides, each of a length that 32 divides, and not ${rows} rows of ${columns}.`,
    source,
    "--embedding f32 takes any.",
  );
export const nodesRefused = (refusals: readonly Refused[]): Diagnostic =>
  warning(
    "nodes-refused",
    `The program will run on the CPU only: ${refusals.length} nodes are not for the GPU.${refusalLines(refusals)}`,
  );
export const nodesOutside = (refusals: readonly Refused[]): Diagnostic =>
  warning(
    "nodes-outside",
    `Portable kernels will run ${refusals.length === 1 ? "a node" : `${refusals.length} nodes`} on the CPU, outside of the GPU's delegate.${refusalLines(refusals)}`,
  );
export const notPortable = (refusals: readonly Refused[]): Diagnostic =>
  error(
    "not-portable",
    `Portable kernels cannot compute ${refusals.length === 1 ? "a node" : `${refusals.length} nodes`} of the model.${refusalLines(refusals)}`,
    undefined,
    'bitnetc itself runs it with the backend "webgpu".',
  );

/** A line for each reason, with the first node that it is about. */
function refusalLines(refusals: readonly Refused[]): string {
  const reasons = new Map<string, string[]>();
  for (const { op, source, why } of refusals)
    reasons.set(`${op}: ${why}`, [...(reasons.get(`${op}: ${why}`) ?? []), source]);
  const lines = [...reasons].map(([reason, sources]) => {
    const more = sources.length > 1 ? ` and ${sources.length - 1} more` : "";
    return `\n  ${reason} (${sources[0]}${more})`;
  });
  return lines.join("");
}
export const deviceUnavailable = (why: string, hint = 'The device "cpu" is always there.') =>
  error("device-unavailable", `The program cannot run on WebGPU here: ${why}.`, undefined, hint);
export const deviceSoftware = (adapter: string) =>
  error("device-software", `The only graphics adapter, ${adapter}, runs shaders on the CPU.`);
export const deviceUnfit = (variant: string, lacks: string) =>
  error(
    "device-unfit",
    `The device cannot run the variant "${variant}" of the program: ${lacks}.`,
    undefined,
    'The device "cpu" is always there.',
  );
export const deviceRefused = (why: string) =>
  error("device-refused", `The graphics adapter gives no device: ${why}`);
export const deviceLost = (why: string) =>
  error(
    "device-lost",
    `The GPU was lost${why === "" ? "" : `: ${why}`}`,
    undefined,
    "Open the program again.",
  );
export const deviceFault = (fault: "out-of-memory" | "validation" | "internal", why: string) =>
  fault === "out-of-memory"
    ? error(
        "device-out-of-memory",
        "The GPU has too little memory.",
        undefined,
        'Close what else uses it, compile for a shorter sequence, or use the device "cpu".',
      )
    : error(`device-${fault}`, `The GPU refused its work: ${why.trim()}`);
/** @param device what is no GPU */
export const noTimestamps = (device?: string) =>
  device === undefined
    ? error(
        "no-timestamps",
        "The device cannot measure time: it lacks the feature timestamp-query.",
        undefined,
        "Open the program with `profile: true`; where that does not help, the adapter lacks it.",
      )
    : error("no-timestamps", `Where the time goes is measured on GPUs only, and this is ${device}.`);
export const webgpuPackage = (why?: string) =>
  error(
    "webgpu-package",
    `WebGPU in Node needs the package webgpu, which ${why === undefined ? "is not installed" : `cannot be loaded: ${why}`}.`,
    undefined,
    "npm install webgpu",
  );
export const sourceFetch = (url: string, why: string, hint?: string) =>
  error("source-fetch", `The program cannot be fetched: ${why}.`, url, hint);
export const sourceChanged = (url: string) =>
  error("source-changed", "The file on the server changed while it was read.", url, "Open it again.");
export const sessionDisposed = () =>
  error("session-disposed", "The session was disposed of: nothing can be run in it any more.");
export const kvSnapshot = (why: string) =>
  error("kv-snapshot", `The snapshot of the cache cannot be restored: ${why}.`);
export const kvNone = () =>
  error("kv-none", "The program keeps no keys and values from call to call: there is nothing to save.");
export const kernelMissing = (op: string, at: string) =>
  error(
    "kernel-missing",
    `There is no CPU kernel for ${op}.`,
    at,
    "Open the program with the plugin that has the op.",
  );
export const operatorMissing = (operator: string, at: string) =>
  error(
    "operator-missing",
    `The program calls ${operator}, which bitnetc does not have.`,
    at,
    "A runtime of ExecuTorch with that operator can run it.",
  );
export const runFailed = (op: string, why: string, at: string) => error("run-failed", `${op}: ${why}`, at);
export const programInput = (name: string, problem: string) =>
  error("program-input", `Input ${name} ${problem}.`, name);
export const notLanguageModel = () =>
  error(
    "not-a-language-model",
    "The program does not continue token sequences: it has no forward(tokens, start_pos) or forward(tokens).",
    undefined,
    "Run it with tensors as inputs.",
  );
export const promptEmpty = () =>
  error("prompt-empty", "The prompt has no tokens.", undefined, "Give at least one token to continue from.");
export const promptTooLong = (have: number, capacity: number) =>
  error(
    "prompt-too-long",
    `The prompt has ${have} tokens and the program has room for ${capacity}.`,
    undefined,
    "Compile the model for a longer sequence, or shorten the prompt.",
  );
export const tokenId = (ids: readonly number[], vocabSize: number) =>
  error("token-id", `The vocabulary has ids 0 to ${vocabSize - 1}, not ${ids.slice(0, 5).join(", ")}.`);
export const callSize = (have: number, min: number, max: number) =>
  error(
    "call-size",
    `The program takes ${min === max ? min : `${min} to ${max}`} tokens in a call, not ${have}.`,
  );
export const cacheGap = (start: number, length: number) =>
  error("cache-gap", `start_pos is ${start}, but the cache holds only ${length} positions.`, "start_pos");
export const logitsNotFinite = () =>
  error("logits-not-finite", "The program's logits hold no number: no token can be chosen.", "logits");
export const samplingOption = (name: string, value: number, expected: string) =>
  error("sampling-option", `The option ${name} is ${value}, but must be ${expected}.`, name);
export const evalWindow = (window: number, capacity: number) =>
  error(
    "eval-window",
    `A window of ${window} predictions does not fit: the program has room for ${capacity} positions.`,
    undefined,
    "Choose a smaller window, or compile the model for a longer sequence.",
  );
export const benchCapacity = (tokens: number, capacity: number) =>
  error(
    "bench-capacity",
    `${tokens} tokens do not fit: the program has room for ${capacity} positions.`,
    undefined,
    "Choose smaller numbers with --prompt-tokens and --new-tokens.",
  );
export const evalTooShort = (have: number, window: number) =>
  error(
    "eval-too-short",
    `A window of ${window} predictions needs ${window + 1} token ids, and there are ${have}.`,
    undefined,
    "Give more text, or choose a smaller window.",
  );

// Text
export const tokenizer = (file: string, why: string) =>
  error("tokenizer", `The tokenizer cannot be read: ${why}.`, file);
export const noTokenizer = () =>
  error(
    "no-tokenizer",
    "The program holds no tokenizer, so it cannot read or write text.",
    undefined,
    "Give the model's tokenizer.json, or give token ids.",
  );
export const chatTemplate = (why: string) =>
  error("chat-template", `The chat template does not accept the messages: ${why}`, "chat_template");
export const noChatTemplate = () =>
  error("no-chat-template", "The program holds no chat template.", undefined, "Give the prompt as text.");

// Faults of bitnetc
export const internal = (message: string) =>
  error(
    "internal",
    `This is a fault of bitnetc itself: ${message}`,
    undefined,
    "Run it again with --verbose, and report what it says.",
  );
export const invalidGraph = (pass: string, before: readonly string[], detail: string) =>
  error("invalid-graph", `The graph is not valid after ${pass}: ${detail}`, `after ${before.join(", ")}`);
