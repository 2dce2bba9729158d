/**
 * Every message of the product. An error is data: a code, a sentence, where it is, and what to do about it.
 * Whatever is wrong with an input is collected and reported at once.
 */
export interface Diagnostic {
  readonly code: string;
  readonly severity: "error" | "warning";
  /** A sentence in plain words. */
  readonly message: string;
  /** A node, a tensor, a file, an option. */
  readonly at?: string;
  readonly hint?: string;
}

/** Thrown for what a user can mend: exit code 1, no stack trace. Programming errors are plain `Error`s. */
export class BitnetcError extends Error {
  readonly diagnostics: readonly Diagnostic[];
  constructor(diagnostics: Diagnostic | readonly Diagnostic[], options?: ErrorOptions) {
    const list = [diagnostics].flat() as readonly Diagnostic[];
    super(list.map(formatDiagnostic).join("\n"), options);
    this.name = "BitnetcError";
    this.diagnostics = list;
  }
  get code(): string {
    return this.diagnostics[0]?.code ?? "unknown";
  }
}

/** A diagnostic as text for people: severity, code and sentence, then its place and hint on lines of their own. */
export function formatDiagnostic({ code, severity, message, at, hint }: Diagnostic): string {
  return `${severity}[${code}]: ${message}${at ? `\n  at ${at}` : ""}${hint ? `\n  hint: ${hint}` : ""}`;
}

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

/** Factories, by area. The code is the area and the fault, and never changes once published. */
export const diagnostics = {
  // Files
  fileMissing: (path: string) => error("file-missing", `There is no file ${path}.`, path),
  fileOutside: (path: string, folder: string) =>
    error(
      "file-outside",
      `The path ${path} leads out of ${folder}.`,
      path,
      "A model's files lie in its own folder.",
    ),
  fileRead: (path: string, why: string) => error("file-read", `The file cannot be read: ${why}.`, path),
  fileTruncated: (path: string, need: number, have: number) =>
    error("file-truncated", `The file ends too early: ${need} bytes are needed, ${have} are there.`, path),
  outputIsInput: (path: string) =>
    error(
      "output-is-input",
      `The model itself is read from ${path}, which the output would replace.`,
      path,
      "Give another name to the output.",
    ),
  fileWrite: (path: string, why: string) => error("file-write", `The file cannot be written: ${why}.`, path),
  fileNotText: (path: string) => error("file-not-text", "This is not UTF-8 text.", path),
  jsonSyntax: (path: string, detail: string) =>
    error("json-syntax", `This is not valid JSON: ${detail}.`, path),
  jsonField: (path: string, field: string, detail: string) =>
    error(
      "json-field",
      `${field === "" ? "The file" : `The field ${field}`} is not as it should be: ${detail}.`,
      path,
    ),
  npy: (path: string, why: string) => error("npy", `This is not a .npy file that can be read: ${why}.`, path),
  unknownInputKind: (path: string) =>
    error(
      "input-kind",
      "This is neither an ONNX model nor a checkpoint.",
      path,
      "Give a .onnx file, a folder with config.json and *.safetensors, or a .safetensors file beside its config.json.",
    ),

  // The command line, options and plugins
  usage: (message: string, hint?: string) => error("usage", message, undefined, hint),
  option: (name: string, problem: string) =>
    error("option", `The option ${name} is not valid: ${problem}.`, name),
  configFile: (path: string, problem: string) =>
    error("config-file", `The configuration file ${problem}.`, path),
  pluginFile: (path: string, problem: string) => error("plugin-file", `The plugin ${problem}.`, path),
  pluginClash: (plugin: string, kind: string, name: string) =>
    error("plugin-clash", `The plugin ${plugin} adds the ${kind} ${name}, but there is one already.`, plugin),
  pluginTarget: (plugin: string, kind: string, name: string, known: readonly string[]) =>
    error(
      "plugin-target",
      `The plugin ${plugin} refers to the ${kind} ${name}, but there is none.`,
      plugin,
      `There are ${known.join(", ")}.`,
    ),
  pluginNotRules: (plugin: string, rule: string, pass: string, known: readonly string[]) =>
    error(
      "plugin-target",
      `The plugin ${plugin} adds the rule ${rule} to the pass ${pass}, which is not made of rules.`,
      plugin,
      `These are: ${known.join(", ")}.`,
    ),
  pluginInvalid: (plugin: string, what: string, problem: string) =>
    error("plugin-invalid", `The plugin ${plugin} adds ${what} that is not valid: ${problem}.`, plugin),
  pluginFailed: (plugin: string, what: string, message: string) =>
    error(
      "plugin-failed",
      `The plugin ${plugin} failed in ${what}: ${message}`,
      plugin,
      "Run it again with --verbose to see where.",
    ),
  rulesEndless: (rules: readonly string[], rounds: number) =>
    error(
      "rules-endless",
      `The rules ${rules.join(", ")} still apply after ${rounds} rounds: what they build is what they look for.`,
    ),

  // ONNX models
  onnxCorrupt: (path: string, offset: number) =>
    error(
      "onnx-corrupt",
      `This is no ONNX model, or it is damaged: what is at byte ${offset} cannot be read.`,
      path,
    ),
  onnxNoGraph: (path: string) =>
    error("onnx-no-graph", "This is no ONNX model: there is no graph in it.", path),
  onnxOpset: (version: number | undefined, oldest: number, at: string) =>
    error(
      "onnx-opset",
      version === undefined
        ? "The model uses ops of the default domain without saying which version of them."
        : `The model uses version ${version} of the default operator set; ${oldest} is the oldest that is supported.`,
      at,
      "Export the model again, or convert it with ONNX's version converter.",
    ),
  onnxTensorSize: (tensor: string, need: number, have: number) =>
    error(
      "onnx-tensor-size",
      `A tensor of its type and shape takes ${need} bytes; its data has ${have}.`,
      tensor,
    ),
  onnxTensorPieces: (tensor: string) =>
    error(
      "onnx-tensor-pieces",
      "The data of the tensor comes in several pieces, which is not supported.",
      tensor,
    ),
  onnxDataType: (tensor: string, type: string) =>
    error("onnx-data-type", `Tensors of ${type} elements are not supported.`, tensor),
  onnxExternalPath: (tensor: string, location: string) =>
    error(
      "onnx-external-path",
      `The data of the tensor is said to be in "${location}", which is not in the model's folder.`,
      tensor,
    ),
  onnxExternalMissing: (tensor: string, path: string) =>
    error(
      "onnx-external-missing",
      `There is no file ${path} beside the model, which holds the data of the tensor.`,
      tensor,
    ),
  onnxInputType: (name: string, type: string) =>
    error("onnx-input-type", `The input is a ${type}, which is not supported.`, name),
  onnxInputShape: (name: string) =>
    error("onnx-input-shape", "The model does not say how many dimensions the input has.", name),
  onnxNoSuchInput: (name: string, inputs: readonly string[]) =>
    error("onnx-no-such-input", `The model has no input ${name}; its inputs are ${inputs.join(", ")}.`, name),
  onnxConstantMismatch: (name: string, given: string) =>
    error(
      "onnx-constant-mismatch",
      `The value ${given} does not fit the type that the model declares.`,
      name,
    ),
  onnxUndefinedValue: (name: string, node: string) =>
    error("onnx-undefined-value", `The node takes "${name}", which no node before it computes.`, node),
  onnxUndefinedOutput: (name: string) =>
    error("onnx-undefined-output", "No node computes this output of the model.", name),
  onnxUnsupportedOp: (op: string, node: string) =>
    error("onnx-unsupported-op", `The op ${op} is not supported.`, node, "A plugin can add ops (`onnxOp`)."),
  onnxUnsupported: (op: string, sentence: string, node: string) =>
    error("onnx-unsupported", `${op}: ${sentence}.`, node),
  onnxMissingInput: (op: string, index: number, node: string) =>
    error("onnx-missing-input", `${op} lacks its input ${index}.`, node),
  onnxAttribute: (op: string, name: string, expected: string, isGiven: boolean, node: string) =>
    error(
      "onnx-attribute",
      isGiven
        ? `The attribute ${name} of ${op} must be ${expected}.`
        : `${op} lacks its attribute ${name}, ${expected}.`,
      node,
    ),
  onnxInvalidNode: (detail: string, node: string) =>
    error("onnx-invalid-node", `The arguments of the node do not fit: ${detail}`, node),
  onnxRecursion: (fn: string, node: string) =>
    error("onnx-recursion", `The function ${fn} calls itself.`, node),
  onnxNotConstant: (what: string, sizes: readonly string[], node: string) =>
    error(
      "onnx-not-constant",
      `${what} must be known at compile time${sizes.length > 0 ? `, but depends on the size ${sizes.join(", ")}` : ""}.`,
      node,
    ),
  needsConstantInput: (input: string, what: string, node: string) =>
    error(
      "needs-constant-input",
      `The input ${input} must be known at compile time: ${what} depends on it (${node}).`,
      input,
      "Give it a value when compiling.",
    ),

  // Checkpoints
  checkpointConfigMissing: (set: string) =>
    error(
      "checkpoint-config-missing",
      "There is no config.json, which says what the weights are.",
      set,
      "Put the model's config.json beside its weights.",
    ),
  checkpointArchitecture: (given: string, known: readonly string[]) =>
    error(
      "checkpoint-architecture",
      `The field architectures names ${given}; ${known.join(", ")} are supported.`,
      "config.json",
    ),
  checkpointField: (field: string, why: string) =>
    error("checkpoint-field", `The field ${field} asks for what is not supported: ${why}.`, "config.json"),
  checkpointWeights: (set: string, candidates: readonly string[]) =>
    error(
      "checkpoint-weights",
      candidates.length === 0
        ? "There are no weights: neither model.safetensors nor model.safetensors.index.json."
        : `There are several weight files (${candidates.join(", ")}) and none is called model.safetensors.`,
      set,
      candidates.length === 0
        ? "Weights in other formats must be saved as safetensors first."
        : "Name one of them.",
    ),
  checkpointIndex: (tensor: string, file: string) =>
    error("checkpoint-index", `The index says that ${tensor} is in ${file}, where it is not.`, file),
  safetensorsHeader: (file: string, detail: string) =>
    error("safetensors-header", `The header of the safetensors file is not valid: ${detail}.`, file),
  safetensorsTensor: (file: string, tensor: string, detail: string) =>
    error(
      "safetensors-tensor",
      `The entry of ${tensor} in the safetensors header is not valid: ${detail}.`,
      file,
    ),
  safetensorsTruncated: (file: string, need: number, have: number, tensor: string, count: number) =>
    error(
      "safetensors-truncated",
      `The safetensors file ends too early: ${need} bytes are needed, ${have} are there; ${count === 1 ? tensor : `${count} tensors, ${tensor} the first of them,`} cannot be read.`,
      file,
      "Download the file again.",
    ),
  tensorMissing: (tensor: string, shape: readonly number[]) =>
    error(
      "tensor-missing",
      `The checkpoint lacks the tensor ${tensor} of shape [${shape.join(", ")}].`,
      tensor,
    ),
  tensorShape: (
    tensor: string,
    file: string,
    shape: readonly number[],
    expected: readonly (readonly number[])[],
  ) =>
    error(
      "tensor-shape",
      `The tensor ${tensor} has shape [${shape.join(", ")}], and ${expected.map((sizes) => `[${sizes.join(", ")}]`).join(" or ")} is expected.`,
      file,
    ),
  tensorDType: (tensor: string, file: string, dtype: string, expected: string) =>
    error("tensor-dtype", `The tensor ${tensor} holds ${dtype}, and ${expected} are expected.`, file),
  tensorUnknown: (tensor: string, file: string) =>
    error(
      "tensor-unknown",
      `The tensor ${tensor} belongs to the decoder, but config.json describes no part that uses it.`,
      file,
      "Check the fields of config.json: layers, biases, use_rms_norm, the architecture.",
    ),
  tensorIgnored: (tensor: string, file: string) =>
    warning("tensor-ignored", `The tensor ${tensor} is not part of the decoder and is left out.`, file),
  packedWithoutConfig: (tensor: string) =>
    error(
      "packed-without-config",
      `The weight ${tensor} is packed, but config.json has no quantization_config to say which way its scale goes.`,
      "config.json",
      'Add quantization_config with quant_method "bitnet" and the linear_class that the weights were saved for.',
    ),
  weightNotTernary: (tensor: string, miss: string) =>
    error(
      "weight-not-ternary",
      `The weight ${tensor} is neither packed nor ternary, as the quantization_mode "offline" says it is: ${miss}.`,
      tensor,
      'If these are master weights, set quantization_mode to "online" in config.json.',
    ),
  weightScale: (tensor: string, value: number) =>
    error("weight-scale", `The scale ${tensor} is ${value}, and a positive number is expected.`, tensor),
  headAssumedTied: () =>
    warning(
      "head-assumed-tied",
      "There is no lm_head.weight, and config.json does not say whether it is tied: the embedding serves as the head.",
      "config.json",
    ),
  headNotTied: () =>
    warning(
      "head-not-tied",
      "config.json says that the head is tied to the embedding, but lm_head.weight differs from it and is used.",
      "lm_head.weight",
    ),
  beyondTraining: (length: number, trained: number) =>
    warning("beyond-training", `The model was made for ${trained} positions; ${length} are asked for.`),
  chatTemplateChosen: (name: string) =>
    warning(
      "chat-template-chosen",
      `None of the chat templates is called "default": "${name}" is taken.`,
      "tokenizer_config.json",
    ),

  // Weights and their packing
  weightNotFinite: (weight: string) =>
    error("weight-not-finite", "The weight has values that are infinite or not a number.", weight),
  weightPackedCode: (weight: string, row: number) =>
    error(
      "weight-packed-code",
      `The packed weight holds the code 3, which is no ternary value, in row ${row}: it is corrupt.`,
      weight,
    ),
  weightPackedByte: (weight: string, value: number) =>
    error("weight-packed-byte", `The packed weight holds ${value}, which is not a byte.`, weight),
  weightAllZero: (at: string) => warning("weight-all-zero", "Every element of the weight is zero.", at),
  packedTooShort: (dtype: string, need: number, have: number) =>
    error(
      "packing-truncated",
      `Packed ${dtype} weights end too early: ${need} bytes are needed, ${have} are there.`,
    ),
  packedCode: (dtype: string, byte: number, row: number, block: number) =>
    error(
      "packing-code",
      `Byte ${byte} stands for no ternary weights in ${dtype}: the weights are corrupt.`,
      `row ${row}, block ${block}`,
    ),
  packedScale: (dtype: string, scale: number, row: number, block: number) =>
    error(
      "packing-scale",
      `A ${dtype} block has the scale ${scale} where 1 is expected.`,
      `row ${row}, block ${block}`,
    ),
  packedScaleInexact: (scale: number) =>
    error(
      "packing-scale-inexact",
      `A block scale of ${scale} cannot be held exactly in 16 bits.`,
      undefined,
      "Keep block scales at 1 and the weight scale beside them, in f32.",
    ),

  // What passes find
  inputMeaning: (name: string, type: string) =>
    error(
      "input-meaning",
      `What the input ${name} (${type}) holds is not clear: it is no token id, position, padding mask, attention mask or cache.`,
      name,
      "Export the model with input_ids, attention_mask, position_ids and past key/values only.",
    ),
  cacheUse: (name: string) =>
    error(
      "cache-use",
      `The cache ${name} is used in another way than being appended to, so it cannot be kept in place.`,
      name,
    ),
  tooFewPositions: (asked: number, there: number) =>
    error(
      "max-seq-len",
      `The program is to have room for ${asked} positions, but the model's tables or caches end after ${there}.`,
      "maxSeqLen",
      `Ask for ${there} or fewer.`,
    ),

  // Program files
  programTruncated: (path: string, need: number, have: number) =>
    error(
      "program-truncated",
      `The program is cut short: ${need} bytes are needed, ${have} are there.`,
      path,
      "Copy or download the file again.",
    ),
  programIdentifier: (path: string, found: string) =>
    error(
      "program-identifier",
      `This is not a program file: it is marked ${JSON.stringify(found)}, not "ET12".`,
      path,
      "Give a .pte file.",
    ),
  programCorrupt: (path: string, why: string) =>
    error(
      "program-corrupt",
      `The program is corrupt: ${why}.`,
      path,
      "Compile, copy or download the file again.",
    ),
  vulkanCorrupt: (at: string, why: string) =>
    error("vulkan-corrupt", `The blob of the Vulkan delegate cannot be read: ${why}.`, at),
  programVersion: (path: string, have: number, known: number) =>
    error(
      "program-version",
      `The program's graph is of version ${have}, and versions up to ${known} are known.`,
      path,
      "Use the version of bitnetc that compiled it, or a newer one.",
    ),
  programHash: (path: string, part: string) =>
    error(
      "program-hash",
      `The part ${part} is not what it was when the program was written: its SHA-256 differs.`,
      path,
      "Copy or download the file again.",
    ),
  programBackend: (path: string, backends: readonly string[]) =>
    error(
      "program-backend",
      backends.length === 0
        ? "The program has no delegate, and only delegates of bitnetc can be run here."
        : `The program is for ${backends.join(", ")}, which does not run here.`,
      path,
      "Compile the model with --backend webgpu.",
    ),

  // Running programs
  deviceUnavailable: (device: string) =>
    error(
      "device-unavailable",
      `There is no executor for the device "${device}" in this version.`,
      undefined,
      'The device "cpu" is always there.',
    ),
  kernelMissing: (op: string, at: string) =>
    error(
      "kernel-missing",
      `There is no CPU kernel for ${op}.`,
      at,
      "Open the program with the plugin that has the op.",
    ),
  runFailed: (op: string, why: string, at: string) => error("run-failed", `${op}: ${why}`, at),
  programInput: (name: string, problem: string) => error("program-input", `Input ${name} ${problem}.`, name),
  notLanguageModel: () =>
    error(
      "not-a-language-model",
      "The program does not continue token sequences: it has no forward(tokens, start_pos) or forward(tokens).",
      undefined,
      "Run it with tensors as inputs.",
    ),
  promptEmpty: () =>
    error(
      "prompt-empty",
      "The prompt has no tokens.",
      undefined,
      "Give at least one token to continue from.",
    ),
  promptTooLong: (have: number, capacity: number) =>
    error(
      "prompt-too-long",
      `The prompt has ${have} tokens and the program has room for ${capacity}.`,
      undefined,
      "Compile the model for a longer sequence, or shorten the prompt.",
    ),
  tokenId: (ids: readonly number[], vocabSize: number) =>
    error("token-id", `The vocabulary has ids 0 to ${vocabSize - 1}, not ${ids.slice(0, 5).join(", ")}.`),
  callSize: (have: number, min: number, max: number) =>
    error(
      "call-size",
      `The program takes ${min === max ? min : `${min} to ${max}`} tokens in a call, not ${have}.`,
    ),
  cacheGap: (start: number, length: number) =>
    error("cache-gap", `start_pos is ${start}, but the cache holds only ${length} positions.`, "start_pos"),
  logitsNotFinite: () =>
    error("logits-not-finite", "The program's logits hold no number: no token can be chosen.", "logits"),
  samplingOption: (name: string, value: number, expected: string) =>
    error("sampling-option", `The option ${name} is ${value}, but must be ${expected}.`, name),
  evalWindow: (window: number, capacity: number) =>
    error(
      "eval-window",
      `A window of ${window} predictions does not fit: the program has room for ${capacity} positions.`,
      undefined,
      "Choose a smaller window, or compile the model for a longer sequence.",
    ),
  evalTooShort: (have: number, window: number) =>
    error(
      "eval-too-short",
      `A window of ${window} predictions needs ${window + 1} token ids, and there are ${have}.`,
      undefined,
      "Give more text, or choose a smaller window.",
    ),

  // Text
  tokenizer: (file: string, why: string) => error("tokenizer", `The tokenizer cannot be read: ${why}.`, file),
  noTokenizer: () =>
    error(
      "no-tokenizer",
      "The program holds no tokenizer, so it cannot read or write text.",
      undefined,
      "Give the model's tokenizer.json, or give token ids.",
    ),
  chatTemplate: (why: string) =>
    error("chat-template", `The chat template does not accept the messages: ${why}`, "chat_template"),
  noChatTemplate: () =>
    error("no-chat-template", "The program holds no chat template.", undefined, "Give the prompt as text."),

  // Faults of bitnetc
  internal: (message: string) =>
    error(
      "internal",
      `This is a fault of bitnetc itself: ${message}`,
      undefined,
      "Run it again with --verbose, and report what it says.",
    ),
  invalidGraph: (pass: string, before: readonly string[], detail: string) =>
    error("invalid-graph", `The graph is not valid after ${pass}: ${detail}`, `after ${before.join(", ")}`),
};

/** What an error that came from elsewhere says. */
export const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
