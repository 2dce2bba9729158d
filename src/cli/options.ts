import * as z from "zod";
import { optionsSchema } from "../options.ts";
import { phases } from "../passes/pass.ts";

/**
 * The command line, said once. The parser, `--help`, the schema of the configuration file, the shell
 * completion and docs/cli.md are made from these tables.
 */
export interface CommandSpec {
  readonly summary: string;
  readonly argument: {
    readonly name: string;
    readonly description: string;
    /** The values it can have; any path where left out. */
    readonly choices?: readonly string[];
  };
  /** What help and the documentation say beside the summary, a paragraph each. */
  readonly details: readonly string[];
  /** Command lines without `bitnetc`. */
  readonly examples: readonly string[];
}

export const shells = ["bash", "zsh", "fish"] as const;

const model = { name: "model", description: "a .onnx file, a checkpoint folder or a .safetensors file" };
const program = { name: "program", description: "a .pte file" };

export const commands = {
  compile: {
    summary: "Compile a model to an ExecuTorch program file.",
    argument: model,
    details: [
      "A tokenizer.json and a chat template beside the model go into the program.",
      "With --to the compilation ends early: the graph's text goes to stdout, or to the file named by --output.",
      "With --json a report is printed: phases, the ops of the graph, sizes in bytes, what fused, and warnings.",
    ],
    examples: [
      "compile model.onnx -o model.pte",
      "compile checkpoint/ -o model.pte --weights tq1_0 --max-seq-len 2048",
    ],
  },
  run: {
    summary: "Run a program: continue a prompt, or compute outputs from tensors.",
    argument: program,
    details: [
      "The text is streamed to stdout. It ends after --max-new-tokens tokens, when the model ends it, or when the program has no room for more.",
      'With --json stdout is {"prompt_ids", "output_ids", "text", "device", "timings"}. output_ids are the new tokens only; a token that ends the text is among them and has no text. Timings are in milliseconds.',
      "With --input the program is run once on tensors instead, and --output-dir takes each output as a .npy file.",
    ],
    examples: [
      'run model.pte --prompt "Once upon a time" --temperature 0.8 --top-p 0.9',
      "run model.pte --input-ids 0,815,27 --logits-out logits.safetensors --json",
      "run model.pte --input tokens=tokens.npy --input start_pos=start.npy --output-dir outputs",
    ],
  },
  eval: {
    summary: "Measure a program's perplexity on a text.",
    argument: program,
    details: [
      "Window j feeds the ids j·N … j·N+N-1 from an empty cache and predicts the ids j·N+1 … j·N+N, where N is --window. A last window that is not full is left out. A text is encoded as it is: no begin-of-sequence token is put in front.",
      'With --json stdout is {"nll_per_token", "perplexity", "tokens"}: the mean of -ln p, its exponential, and the number of predictions.',
      'With --against a second program is measured on the same ids, and the change is how much higher the perplexity of the first is, in percent. In JSON that is {…, "against": {"nll_per_token", "perplexity", "tokens"}, "perplexity_change_percent"}.',
    ],
    examples: [
      "eval model.pte --text book.txt",
      "eval model.pte --ids ids.json --window 512 --json",
      "eval small.pte --against model.pte --text book.txt",
    ],
  },
  bench: {
    summary: "Measure how fast a program reads a prompt and makes tokens.",
    argument: program,
    details: [
      "A prompt of random tokens, the same each time, is continued greedily from an empty cache, past tokens that would end the text: once to warm up, then --runs times. Prefill is the time to the first new token; decode is that of the --new-tokens after it. Said are the median, the least and the most of the runs.",
      'With --json stdout is {"program", "device", "prompt_tokens", "new_tokens", "runs", "prefill": {"ms", "tokens_per_second"}, "decode": {"ms_per_token", "tokens_per_second"}, "dispatches_per_token"?, "profile"?}; each figure is {"median", "min", "max"}. dispatches_per_token is there on a GPU.',
      'With --profile a run more is made, in which the GPU times each dispatch by itself, so the times do not contain what lies between dispatches. Classes and kernels are listed for the whole prefill, and for a token of decode. In JSON profile is {"bandwidth_gb_per_second", "prefill", "decode"}, and each of the two {"tokens", "dispatches", "gpu_ms", "bytes", "gb_per_second", "classes", "kernels"}, of all its tokens together; classes and kernels are lists of {"name", "class", "share", "dispatches", "gpu_ms", "us_per_dispatch", "bytes", "gb_per_second"}, and a kernel has "places" with the same figures.',
      "Bytes are counted from what dispatches are bound to, each byte once: weights of matrix products in full, caches as far as they are filled, activations of the call's tokens, and of an embedding as much as is written; tables for rotation are left out. They are set against a bandwidth measured on the same adapter: the better of reading memory in a shader and copying a buffer.",
    ],
    examples: [
      "bench model.pte",
      "bench model.pte --prompt-tokens 512 --new-tokens 64 --json",
      "bench model.pte --device webgpu --profile",
    ],
  },
  inspect: {
    summary: "Show what is in a program, an ONNX model or a checkpoint.",
    argument: {
      name: "file",
      description: "a .pte or .onnx file, a checkpoint folder or a .safetensors file",
    },
    details: [
      "Any ExecuTorch program can be read, not only those that bitnetc wrote, and the graphs of bitnetc's and of Vulkan delegates. A Vulkan graph that cannot be read is a warning, and the rest is shown. Of long lists the first lines are shown; --verbose shows all.",
      "With --json, `program` is the program's flatbuffer as `flatc --json --strict-json` prints it with schemas/program.fbs, and so is the `graph` of a delegate with schemas/vulkan.fbs or schemas/delegate.fbs. Doubles have 12 decimals there, as flatc's do; `tables` has those of the program exactly.",
      'With --diff two programs are compared: methods, values, instructions, delegates\' graphs, memory, named data and constants by their SHA-256. The exit code is 0 whether they differ or not. With --json stdout is {"kind", "files", "equal", "differences", "warnings"}; a difference is {"part", "what", "before"?, "after"?}, without `before` for what was added and without `after` for what was removed.',
    ],
    examples: ["inspect model.pte", "inspect model.onnx --json", "inspect old.pte --diff new.pte"],
  },
  explain: {
    summary: "Say what of a model fuses, what nearly does and why not, and what is unsupported.",
    argument: model,
    details: [],
    examples: ["explain model.onnx"],
  },
  completion: {
    summary: "Print a script that completes commands and options in a shell.",
    argument: { name: "shell", description: "the shell to write it for", choices: shells },
    details: [
      "Load it with `source <(bitnetc completion bash)`, or save it where the shell looks for completions.",
    ],
    examples: ["completion bash"],
  },
} as const satisfies Record<string, CommandSpec>;

export type CommandName = keyof typeof commands;
export const commandNames = Object.keys(commands) as readonly CommandName[];

export interface OptionSpec<C extends CommandName = CommandName, S extends z.ZodType = z.ZodType> {
  readonly short?: string;
  /** What the value is; a flag has none. */
  readonly placeholder?: string;
  readonly description: string;
  /** Its value as a configuration file has it. Says the default, the choices and whether it can be repeated. */
  readonly schema: S;
  readonly commands: readonly C[];
  /** Can stand in a configuration file. */
  readonly inConfig?: boolean;
  /** What a shell offers for the value. */
  readonly completes?: "file" | "folder";
}

const option = <const C extends CommandName, S extends z.ZodType>(spec: OptionSpec<C, S>) => spec;
const { shape } = optionsSchema;
const flag = z.boolean().default(false);
const every = ["compile", "run", "eval", "bench", "inspect", "explain", "completion"] as const;

export const options = {
  output: option({
    short: "o",
    placeholder: "FILE",
    description: "the program file to write; it is there when it is complete, or not at all",
    schema: z.string().optional(),
    commands: ["compile"],
    completes: "file",
  }),
  backend: option({
    placeholder: "NAME",
    description:
      "who runs the program: bitnetc's own runtime, or the stock ExecuTorch runtime, on a GPU (vulkan) or with its portable kernels",
    schema: shape.backend,
    commands: ["compile", "explain"],
    inConfig: true,
  }),
  customOps: option({
    placeholder: "LIBRARY",
    description:
      "custom kernels that a portable program may call; llama is ExecuTorch's extension for language models",
    schema: shape.customOps,
    commands: ["compile", "explain"],
    inConfig: true,
  }),
  weights: option({
    placeholder: "FORMAT",
    description: "how webgpu programs store ternary weights",
    schema: shape.weights,
    commands: ["compile", "explain"],
    inConfig: true,
  }),
  activations: option({
    placeholder: "KIND",
    description: "what ternary layers do to their input; left out, what the model itself does",
    schema: shape.activations,
    commands: ["compile", "explain"],
    inConfig: true,
  }),
  embedding: option({
    placeholder: "FORMAT",
    description:
      "how the embedding and the head are stored; auto is the smallest float that holds every value exactly (f32 for vulkan), q8 is int8 with a scale a row, q4, for vulkan, four bits with a scale for every 32",
    schema: shape.embedding,
    commands: ["compile", "explain"],
    inConfig: true,
  }),
  maxSeqLen: option({
    placeholder: "N",
    description: "positions that the program has room for; left out, what the model was made for",
    schema: shape.maxSeqLen,
    commands: ["compile", "explain"],
    inConfig: true,
  }),
  logits: option({
    placeholder: "WHICH",
    description: "whether a call gives the logits of its last position or of all",
    schema: shape.logits,
    commands: ["compile", "explain"],
    inConfig: true,
  }),
  plugin: option({
    placeholder: "FILE",
    description: "a JavaScript module whose default export is a plugin; can be repeated",
    schema: z.array(z.string()).default([]),
    commands: ["compile", "explain"],
    completes: "file",
  }),
  config: option({
    placeholder: "FILE",
    description:
      "a configuration file; left out, bitnetc.config.js, .mjs or .json in the working folder, if there is one",
    schema: z.string().optional(),
    commands: ["compile", "explain"],
    completes: "file",
  }),
  to: option({
    placeholder: "PHASE",
    description: "stop after this phase",
    schema: z.enum(phases).optional(),
    commands: ["compile"],
  }),
  dump: option({
    placeholder: "DIR",
    description: "write the graph's text after every phase into this folder",
    schema: z.string().optional(),
    commands: ["compile"],
    completes: "folder",
  }),
  prompt: option({
    placeholder: "TEXT",
    description: "the text to continue",
    schema: z.string().optional(),
    commands: ["run"],
  }),
  inputIds: option({
    placeholder: "IDS",
    description: "the token ids to continue, separated by commas",
    schema: z.string().optional(),
    commands: ["run"],
  }),
  chat: option({
    description: "give the prompt to the model's chat template, as the user's message",
    schema: flag,
    commands: ["run"],
  }),
  tokenizer: option({
    placeholder: "FILE",
    description: "a tokenizer.json to use in place of the program's",
    schema: z.string().optional(),
    commands: ["run", "eval"],
    completes: "file",
  }),
  maxNewTokens: option({
    placeholder: "N",
    description: "how many tokens to make at the most",
    schema: z.int().nonnegative().default(128),
    commands: ["run"],
  }),
  temperature: option({
    placeholder: "T",
    description: "what logits are divided by; 0 always takes the likeliest token",
    schema: z.number().nonnegative().default(0),
    commands: ["run"],
  }),
  topK: option({
    placeholder: "K",
    description: "choose among the K likeliest tokens; 0 is all of them",
    schema: z.int().nonnegative().default(0),
    commands: ["run"],
  }),
  topP: option({
    placeholder: "P",
    description: "choose among the likeliest tokens that together have probability P",
    schema: z.number().positive().max(1).default(1),
    commands: ["run"],
  }),
  seed: option({
    placeholder: "S",
    description: "equal seeds make equal choices; left out, a random one",
    schema: z.int().nonnegative().optional(),
    commands: ["run"],
  }),
  promptTokens: option({
    placeholder: "N",
    description: "tokens of the prompt",
    schema: z.int().positive().default(128),
    commands: ["bench"],
  }),
  newTokens: option({
    placeholder: "N",
    description: "tokens to make after the first, which is the prompt's",
    schema: z.int().positive().default(128),
    commands: ["bench"],
  }),
  runs: option({
    placeholder: "N",
    description: "how often to measure",
    schema: z.int().positive().default(3),
    commands: ["bench"],
  }),
  profile: option({
    description: "say where the time goes on the GPU; with run on stderr",
    schema: flag,
    commands: ["run", "bench"],
  }),
  device: option({
    placeholder: "DEVICE",
    description:
      "where to run; auto is a GPU if there is one that can run the program, else the CPU, and --verbose says why",
    schema: z.enum(["auto", "webgpu", "cpu"]).default("auto"),
    commands: ["run", "eval", "bench"],
  }),
  logitsOut: option({
    placeholder: "FILE",
    description:
      "write the logits of the prompt's positions to a .safetensors file: one f32 tensor logits [T, V]",
    schema: z.string().optional(),
    commands: ["run"],
    completes: "file",
  }),
  input: option({
    placeholder: "NAME=FILE",
    description: "an input of the program, from a .npy file; can be repeated",
    schema: z.array(z.string()).default([]),
    commands: ["run"],
    completes: "file",
  }),
  outputDir: option({
    placeholder: "DIR",
    description: "write each output of the program to NAME.npy in this folder",
    schema: z.string().optional(),
    commands: ["run"],
    completes: "folder",
  }),
  text: option({
    placeholder: "FILE",
    description: "the text to predict, as a UTF-8 file",
    schema: z.string().optional(),
    commands: ["eval"],
    completes: "file",
  }),
  ids: option({
    placeholder: "FILE",
    description: "the token ids to predict, as a JSON array",
    schema: z.string().optional(),
    commands: ["eval"],
    completes: "file",
  }),
  against: option({
    placeholder: "FILE",
    description: "another program, to be measured on the same ids and compared with",
    schema: z.string().optional(),
    commands: ["eval"],
    completes: "file",
  }),
  window: option({
    placeholder: "N",
    description: "predictions per window",
    schema: z.int().positive().default(256),
    commands: ["eval"],
  }),
  maxWindows: option({
    placeholder: "N",
    description: "stop after this many windows; left out, all that the text fills",
    schema: z.int().positive().optional(),
    commands: ["eval"],
  }),
  diff: option({
    placeholder: "FILE",
    description: "another program: say what differs in it",
    schema: z.string().optional(),
    commands: ["inspect"],
    completes: "file",
  }),
  json: option({
    description: "print a result for machines on stdout, and nothing else there",
    schema: flag,
    commands: every,
  }),
  verbose: option({
    description: "say more on stderr, with a stack trace for every error",
    schema: flag,
    commands: every,
  }),
} as const;

type Table = typeof options;
type OptionName = keyof Table;
export const optionNames = Object.keys(options) as readonly OptionName[];

/** The values of a command's options, with their defaults filled in. */
export type OptionValues<C extends CommandName> = {
  readonly [K in OptionName as C extends Table[K]["commands"][number] ? K : never]: z.output<
    Table[K]["schema"]
  >;
};

export const optionsOf = (command: CommandName): readonly (readonly [OptionName, OptionSpec])[] =>
  optionNames
    .map((name) => [name, options[name] as OptionSpec] as const)
    .filter(([, spec]) => spec.commands.includes(command));

/** `maxSeqLen` as it is written on a command line: `--max-seq-len`. */
export const flagOf = (name: string): string =>
  `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
