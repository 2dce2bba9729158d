// What a user of bitnetc and of the acme plugin writes. The test calls these functions in a process of their own.
import {
  type Args,
  BitnetcError,
  type Builder,
  countOps,
  definePlugin,
  explain,
  load,
  lower,
  type Ops,
  rule,
  type Tensor,
  tensor,
  type Value,
} from "bitnetc";
import { compileFile, openInput, openProgram } from "bitnetc/node";
import acmeByDefault, { acme, relu2Gate } from "bitnetc-plugin-acme";

// The plugin's declarations arrive with the package: its op is an op like any other, and others are not.
const names: readonly Ops["acme.relu2_gate"]["args"][] = ["gate", "up"];
export const build = (b: Builder, x: Value): Value => b("acme.relu2_gate", { gate: x, up: x });
export const unknownOp = (b: Builder, x: Value): Value =>
  // @ts-expect-error there is no such op
  b("acme.other", { gate: x, up: x });
export const unknownArgument = (b: Builder, x: Value): Value =>
  // @ts-expect-error it has no such argument
  b("acme.relu2_gate", { gate: x, down: x });
export const forms: Args<"gate" | "up", string> = { gate: "g", up: "u" };

const options = { maxSeqLen: 64, logits: "all" } as const;

const ids = [0, 815, 27, 1999, 3, 64];

async function logits(program: string, kernels = {}): Promise<readonly number[]> {
  const session = await openProgram(program, { kernels });
  const rows: number[] = [];
  for await (const row of session.logits(ids)) rows.push(...row);
  return rows;
}

const countDifferent = (a: readonly number[], b: readonly number[]): number =>
  a.filter((element, i) => element !== b[i]).length;

async function errorsOf(run: () => Promise<unknown>): Promise<readonly string[]> {
  try {
    await run();
    return [];
  } catch (error) {
    if (!(error instanceof BitnetcError)) throw error;
    return error.diagnostics.map(({ code, message }) => `${code}: ${message}`);
  }
}

/** Compiles with and without the plugin, and runs both programs. */
export async function compareOnCheckpoint(checkpoint: string) {
  const heard: string[] = [];
  const onPhase = (phase: string, gates: number) => heard.push(`${phase} ${gates}`);
  const plain = await compileFile(checkpoint, "plain.pte", options);
  const fused = await compileFile(checkpoint, "fused.pte", { ...options, plugins: [acme({ onPhase })] });
  const [expected, actual] = [await logits("plain.pte"), await logits("fused.pte")];
  return {
    heard,
    ops: fused.report.ops,
    plainOps: plain.report.ops,
    metrics: fused.report.metrics,
    matched: fused.report.rules["acme-relu2-gate"]?.matched,
    hashes: [plain, fused].map(({ report }) => report.phases.at(-1)?.hash),
    logits: { count: actual.length, differ: countDifferent(actual, expected) },
  };
}

/** Leaves the op in the program: the runtime is given the kernel that the compiler folds constants with. */
export async function runWithKernel(checkpoint: string) {
  await compileFile(checkpoint, "plain.pte", options);
  await compileFile(checkpoint, "kept.pte", { ...options, plugins: [acme({ keep: true })] });
  const kernels = { "acme.relu2_gate": relu2Gate.kernel };
  return {
    differ: countDifferent(await logits("kept.pte", kernels), await logits("plain.pte")),
    without: await errorsOf(() => openProgram("kept.pte")),
  };
}

export async function compileOwnOp(model: string) {
  const input = await openInput(model);
  const imported = await load(input, { plugins: [acmeByDefault] });
  const ops = [countOps(imported.graph)];
  ops.push(countOps((await lower(imported, "packed")).graph));
  await compileFile(model, "own-op.pte", { plugins: [acmeByDefault] });
  const session = await openProgram("own-op.pte");
  const row = (...elements: readonly number[]): Tensor =>
    tensor("f32", [1, elements.length], new Float32Array(elements));
  const { y } = await session.run({ gate: row(-1, 2, 3), up: row(5, 7, -1) });
  return { names, ops, y: Array.from(y!.data), unsupported: await errorsOf(() => load(input)) };
}

export async function nearMisses(checkpoint: string) {
  const { report } = await explain(await openInput(checkpoint), { plugins: [acme({ lanes: 512 })] });
  return { ops: report?.ops, rule: report?.rules["acme-relu2-gate"] };
}

const twiceNegated = rule({
  name: "twice-negated",
  doc: "-(-x) → x",
  pattern(p) {
    const x = p.any();
    return { root: p("neg", { x: p("neg", { x }) }), x };
  },
  rewrite: (_, m) => m.x,
});

export function clashes(checkpoint: string) {
  const other = definePlugin({
    name: "other",
    setup(build) {
      build.op("acme.relu2_gate", { doc: "", args: ["gate", "up"], infer: () => [], kernel: () => [] });
      build.onnxOp("acme::Relu2Gate", () => []);
      build.pass({ name: "fuse-norms", doc: "", run() {} }, { phase: "fused" });
      build.pass({ name: "lost", doc: "", run() {} }, { after: "no-such-pass" });
      build.rule({ ...twiceNegated, name: "relu2" }, { into: "fuse-gates" });
      build.rule(twiceNegated, { into: "no-such-pass" });
      build.rule(twiceNegated, { into: "merge-duplicates" });
    },
  });
  return errorsOf(async () => load(await openInput(checkpoint), { plugins: [acme(), other, acme()] }));
}
