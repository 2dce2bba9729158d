import * as z from "zod";
import type { Lowering } from "../backends/webgpu/lowering/group.ts";
import * as diagnostics from "../diagnostics.ts";
import { BitnetcError, type Diagnostic, messageOf } from "../errors.ts";
import type { Importer } from "../frontend/onnx/importer.ts";
import { InferenceError, type OpDef, weightKinds } from "../ir/ops/op.ts";
import type { Options } from "../options.ts";
import type { Pass } from "../passes/pass.ts";
import type { Rule } from "../passes/rule.ts";
import type { PassPlace, PhaseListener, Plugin, PluginBuild } from "../plugin.ts";

/** What one plugin asks for, checked on its own but not against what there is. */
export interface Contribution {
  readonly plugin: string;
  readonly ops: (readonly [name: string, definition: OpDef])[];
  readonly importers: (readonly [type: string, importer: Importer])[];
  readonly rules: (readonly [rule: Rule, into: string])[];
  readonly passes: (readonly [pass: Pass, place: PassPlace])[];
  readonly lowerings: Lowering[];
  readonly listeners: (readonly [filter: RegExp, callback: PhaseListener])[];
}

const callable = z.custom<(...args: never) => unknown>(
  (value) => typeof value === "function",
  "a function is expected",
);
const opName = z.string().regex(/^\w+(\.\w+)+$/, "an op's name is namespace.op");
const onnxType = z.string().regex(/^[^:]*::[^:]+$/, "an ONNX op is named domain::OpType");
const opShape = z
  .looseObject({
    doc: z.string(),
    args: z.array(z.string().regex(/^\w+[?*]?$/, "an argument is a name, with ? or * behind it")),
    commutative: z.boolean().optional(),
    mutates: z.string().optional(),
    rowwise: z.string().optional(),
    weights: z.record(z.string(), z.enum(weightKinds)).optional(),
    infer: callable,
    contents: callable.optional(),
    verify: callable.optional(),
    view: callable.optional(),
    kernel: callable,
  })
  .refine(
    ({ args, commutative }) => !commutative || (args.length === 2 && args.every((arg) => /\w$/.test(arg))),
    {
      message: "a commutative op has two arguments, both of them required",
      path: ["commutative"],
      when: ({ issues }) => issues.length === 0,
    },
  )
  .refine(({ args, mutates }) => mutates === undefined || args.includes(mutates), {
    message: "it is not one of the arguments",
    path: ["mutates"],
    when: ({ issues }) => issues.length === 0,
  })
  .refine(({ args, rowwise }) => rowwise === undefined || namesOf(args).includes(rowwise), {
    message: "it is not one of the arguments",
    path: ["rowwise"],
    when: ({ issues }) => issues.length === 0,
  })
  .refine(({ args, weights = {} }) => Object.keys(weights).every((name) => namesOf(args).includes(name)), {
    message: "one of them is no argument",
    path: ["weights"],
    when: ({ issues }) => issues.length === 0,
  });
const namesOf = (args: readonly string[]): readonly string[] => args.map((arg) => arg.replace(/[?*]$/, ""));
const ruleShape = z.looseObject(
  { name: z.string(), root: z.object(), apply: callable },
  "a rule is what rule() returns",
);
const passShape = z.looseObject({ name: z.string(), doc: z.string(), run: callable });
const loweringShape = z.looseObject({ name: z.string(), doc: z.string(), match: callable });
const placeShape = z.union(
  [
    z.strictObject({ before: z.string() }),
    z.strictObject({ after: z.string() }),
    z.strictObject({ phase: z.string(), order: z.enum(["first", "last"]).optional() }),
  ],
  'a place is { before: pass }, { after: pass } or { phase, order: "first" or "last" }',
);

/** Runs a plugin's setup. What is wrong with what it adds goes to `faults`, and is left out. */
export async function setUp(plugin: Plugin, options: Options, faults: Diagnostic[]): Promise<Contribution> {
  const { name } = plugin;
  const made: Contribution = {
    plugin: name,
    ops: [],
    importers: [],
    rules: [],
    passes: [],
    lowerings: [],
    listeners: [],
  };
  const isValid = (what: string, schema: z.ZodType, value: unknown): boolean => {
    const issues = schema.safeParse(value).error?.issues ?? [];
    for (const { path, message } of issues)
      faults.push(diagnostics.pluginInvalid(name, what, [...path.map(String), message].join(": ")));
    return issues.length === 0;
  };
  const guarded = <A extends readonly unknown[], R>(what: string, run: (...args: A) => R) =>
    attributed(run, (message) => diagnostics.pluginFailed(name, what, message));

  const build: PluginBuild = {
    options,
    op(op, definition) {
      const what = `the op ${op}`;
      if (!isValid(what, opName, op) || !isValid(what, opShape, definition)) return;
      made.ops.push([op, guardedOp(definition as unknown as OpDef, (run) => guarded(what, run))]);
    },
    onnxOp(type, importer) {
      const what = `the ONNX op ${type}`;
      if (!isValid(what, onnxType, type) || !isValid(what, callable, importer)) return;
      made.importers.push([type, guarded(what, importer)]);
    },
    rule(rule, { into }) {
      const what = `the rule ${rule?.name}`;
      if (isValid(what, ruleShape, rule))
        made.rules.push([{ ...rule, apply: guarded(what, (...args) => rule.apply(...args)) }, into]);
    },
    pass(pass, place) {
      const what = `the pass ${pass?.name}`;
      if (isValid(what, passShape, pass) && isValid(what, placeShape, place))
        made.passes.push([{ ...pass, run: guarded(what, (...args) => pass.run(...args)) }, place]);
    },
    lowering(lowering) {
      const what = `the lowering ${lowering?.name}`;
      if (isValid(what, loweringShape, lowering))
        made.lowerings.push({ ...lowering, match: guarded(what, (...args) => lowering.match(...args)) });
    },
    onPhase(filter, callback) {
      made.listeners.push([filter, guarded(`what it does on phase ${filter}`, callback)]);
    },
  };
  await guarded("its setup", () => plugin.setup(build))();
  return made;
}

function guardedOp(
  definition: OpDef,
  guard: <A extends readonly unknown[], R>(run: (...args: A) => R) => (...args: A) => R,
): OpDef {
  const { contents, verify, view } = definition;
  return {
    ...definition,
    infer: guard((...args) => definition.infer(...args)),
    kernel: guard((...args) => definition.kernel(...args)),
    ...(contents && { contents: guard((...args) => contents.apply(definition, args)) }),
    ...(verify && { verify: guard((...args) => verify.apply(definition, args)) }),
    ...(view && { view: guard((...args) => view.apply(definition, args)) }),
  };
}

/** The same function, whose own faults are told as its plugin's; what it says of the user's model passes. */
function attributed<A extends readonly unknown[], R>(
  run: (...args: A) => R,
  blame: (message: string) => Diagnostic,
): (...args: A) => R {
  const rethrow = (error: unknown): never => {
    if (error instanceof BitnetcError || error instanceof InferenceError) throw error;
    throw new BitnetcError(blame(messageOf(error)), { cause: error });
  };
  return (...args) => {
    try {
      const result = run(...args);
      return result instanceof Promise ? (result.catch(rethrow) as R) : result;
    } catch (error) {
      return rethrow(error);
    }
  };
}
