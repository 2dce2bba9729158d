import { describe, expect, it } from "vitest";
import { applyPlugins } from "../../src/compiler/extensions.ts";
import { load, lower } from "../../src/compiler/lower.ts";
import { BitnetcError, type Diagnostic } from "../../src/errors.ts";
import { InferenceError, type OpDef } from "../../src/ir/ops/op.ts";
import { parseOptions } from "../../src/options.ts";
import type { Pass, Phase } from "../../src/passes/pass.ts";
import { rewritePass, rule } from "../../src/passes/rule.ts";
import type { PassPlace, Plugin, PluginBuild } from "../../src/plugin.ts";
import { modelSource, node, onnx, value } from "../onnx/build-model.ts";

const { FLOAT } = onnx.TensorProto.DataType;
const options = parseOptions({});

/** y = -exp(relu(x)² · (x · sigmoid(x))), which has both a ReLU² and a SiLU in it. */
const input = {
  model: modelSource({
    graph: {
      input: [value("x", FLOAT, [2, 3])],
      output: [value("y", FLOAT, [2, 3])],
      node: [
        node("Relu", ["x"], ["r"]),
        node("Mul", ["r", "r"], ["rr"]),
        node("Sigmoid", ["x"], ["s"]),
        node("Mul", ["x", "s"], ["xs"]),
        node("Mul", ["rr", "xs"], ["gated"], [], { name: "/gated" }),
        node("Exp", ["gated"], ["e"]),
        node("Neg", ["e"], ["y"]),
      ],
    },
  }),
};

const plugin = (name: string, setup: (build: PluginBuild) => void): Plugin => ({ name, setup });
const pass = (name: string, run: Pass["run"] = () => {}): Pass => ({ name, doc: "", run });
const adds = (name: string, place: PassPlace): Plugin =>
  plugin(`adds ${name}`, (build) => build.pass(pass(name), place));

async function passesOf(phase: Phase, ...plugins: readonly Plugin[]): Promise<readonly string[]> {
  const { phases } = await applyPlugins(plugins, options);
  return phases.find((found) => found.phase === phase)!.passes.map(({ name }) => name);
}

async function faultsOf(run: () => Promise<unknown>): Promise<readonly Diagnostic[]> {
  try {
    await run();
  } catch (error) {
    if (error instanceof BitnetcError) return error.diagnostics;
    throw error;
  }
  return [];
}

const compileWith = async (setup: (build: PluginBuild) => void, to: Phase = "packed") =>
  lower(await load(input, { plugins: [plugin("p", setup)] }), to);

const negate: OpDef = {
  doc: "-x",
  args: ["x"],
  infer: ({ x }) => [(x as unknown as { type: ReturnType<OpDef["infer"]>[number] }).type],
  kernel: () => [],
};
// These ops are declared nowhere: to the type checker they stand for ops of a plugin in JavaScript.
const addOp = (build: PluginBuild, name: string, definition: object): void =>
  (build.op as (name: string, definition: object) => void)(name, definition);

describe("places of passes", () => {
  it("puts a pass beside another, the last time where it runs several times", async () => {
    const core = await passesOf("fused");
    const at = core.lastIndexOf("merge-duplicates");
    expect(core.indexOf("merge-duplicates")).toBeLessThan(at);
    expect(await passesOf("fused", adds("a", { before: "fuse-rope" }))).toEqual(
      core.toSpliced(core.indexOf("fuse-rope"), 0, "a"),
    );
    expect(await passesOf("fused", adds("a", { after: "merge-equal-weights" }))).toEqual(
      core.toSpliced(core.indexOf("merge-equal-weights") + 1, 0, "a"),
    );
    const stateful = await passesOf("stateful");
    expect(await passesOf("stateful", adds("a", { after: "merge-duplicates" }))).toEqual(
      stateful.toSpliced(stateful.lastIndexOf("merge-duplicates") + 1, 0, "a"),
    );
    expect(await passesOf("fused", adds("a", { after: "merge-duplicates" }))).toEqual(core);
  });

  it("keeps the order of the plugins in one place", async () => {
    const core = await passesOf("packed");
    for (const [place, expected] of [
      [{ phase: "packed", order: "first" }, ["a", "b", ...core]],
      [{ phase: "packed", order: "last" }, [...core, "a", "b"]],
      [{ phase: "packed" }, [...core, "a", "b"]],
      [{ after: core[0]! }, [core[0], "a", "b", ...core.slice(1)]],
      [{ before: core[1]! }, [core[0], "a", "b", ...core.slice(1)]],
    ] as const)
      expect(await passesOf("packed", adds("a", place), adds("b", place))).toEqual(expected);
  });

  it("finds the pass of a plugin that comes later", async () => {
    const core = await passesOf("packed");
    const plugins = [adds("a", { after: "b" }), adds("b", { before: "c" }), adds("c", { phase: "packed" })];
    expect(await passesOf("packed", ...plugins)).toEqual([...core, "b", "a", "c"]);
  });

  it("refuses places that do not exist, and passes that wait for each other", async () => {
    const plugins = [
      adds("a", { after: "b" }),
      adds("b", { after: "a" }),
      adds("c", { phase: "import" as "packed" }),
    ];
    const faults = await faultsOf(() => applyPlugins(plugins, options));
    expect(faults.map(({ code }) => code)).toEqual(["plugin-target", "plugin-target", "plugin-target"]);
    expect(faults[2]!.message).toContain("the phase import");
    expect(faults[2]!.hint).toContain("canonical, fused");
  });
});

describe("rules", () => {
  const toTanh = rule({
    name: "to-tanh",
    doc: "relu²(x) · silu(y) → tanh(x)",
    pattern(p) {
      const [x, y] = [p.any(), p.any()];
      return { root: p("mul", { a: p("nn.relu2", { x }), b: p("nn.silu", { x: y }) }), x, y };
    },
    rewrite: (b, m) => b("tanh", { x: m.x }),
  });

  it("apply in a pass of the compiler, and in one of another plugin", async () => {
    for (const into of ["fuse-gates", "own"]) {
      const { report } = await compileWith((build) => {
        build.rule(toTanh, { into });
        build.pass(rewritePass("own", "", []), { phase: "fused" });
      });
      expect(report.ops).toEqual({ exp: 1, neg: 1, tanh: 1 });
      expect(report.rules["to-tanh"]).toEqual({ matched: 1, misses: [] });
    }
  });

  it("tell how far a pattern came", async () => {
    const gatedGelu = rule({
      name: "gated-gelu",
      doc: "",
      pattern(p) {
        const x = p.any();
        const gated = p("mul", { a: p("nn.relu2", { x }), b: p("nn.gelu", { x }) });
        return { root: p("neg", { x: p("exp", { x: gated }) }), x };
      },
      rewrite: (_, m) => m.x,
    });
    const { report } = await compileWith((build) => build.rule(gatedGelu, { into: "fuse-gates" }));
    expect(report.rules["gated-gelu"]).toEqual({
      matched: 0,
      misses: [{ why: "nn.gelu was expected, it is nn.silu", at: "onnx:Mul#3" }],
    });
  });
});

describe("rules that build what they look for", () => {
  it("are stopped", async () => {
    const turn = (from: "exp" | "tanh", to: "exp" | "tanh") =>
      rule({
        name: `${from}-to-${to}`,
        doc: "",
        pattern(p) {
          const x = p.any();
          return { root: p(from, { x }), x };
        },
        rewrite: (b, m) => b(to, { x: m.x }),
      });
    const faults = await faultsOf(() =>
      compileWith((build) => {
        build.rule(turn("exp", "tanh"), { into: "fuse-gates" });
        build.rule(turn("tanh", "exp"), { into: "fuse-gates" });
      }),
    );
    expect(faults).toEqual([expect.objectContaining({ code: "rules-endless" })]);
    expect(faults[0]!.message).toMatch(/exp-to-tanh|tanh-to-exp/);
  });
});

describe("what is not valid", () => {
  it("is told at once, for plugins that no type checker saw", async () => {
    const faults = await faultsOf(() =>
      compileWith((build) => {
        addOp(build, "plain", negate);
        addOp(build, "p.a", { args: ["x"] });
        addOp(build, "p.b", { ...negate, commutative: true });
        addOp(build, "p.c", { ...negate, mutates: "cache" });
        addOp(build, "p.d", { ...negate, weights: { y: "dense" } });
        addOp(build, "p.e", { ...negate, weights: { x: "big" } });
        addOp(build, "p.f", { ...negate, rowwise: "y" });
        build.onnxOp("Gelu" as "::Gelu", () => []);
        build.rule({ name: "r" } as never, { into: "fuse-gates" });
        build.pass({ name: "q" } as never, { phase: "fused" });
        build.pass(pass("q"), { pahse: "fused" } as never);
      }),
    );
    expect(new Set(faults.map(({ code }) => code))).toEqual(new Set(["plugin-invalid"]));
    const told = faults.map(({ message }) => message).join("\n");
    for (const [what, problem] of [
      ["the op plain", "an op's name is namespace.op"],
      ["the op p.a", "doc: "],
      ["the op p.a", "infer: a function is expected"],
      ["the op p.a", "kernel: a function is expected"],
      ["the op p.b", "commutative: a commutative op has two arguments"],
      ["the op p.c", "mutates: it is not one of the arguments"],
      ["the op p.d", "weights: one of them is no argument"],
      ["the op p.e", "weights: x: Invalid option"],
      ["the op p.f", "rowwise: it is not one of the arguments"],
      ["the ONNX op Gelu", "an ONNX op is named domain::OpType"],
      ["the rule r", "apply: a function is expected"],
      ["the pass q", "run: a function is expected"],
      ["the pass q", "a place is"],
    ])
      expect(told).toContain(`adds ${what} that is not valid: ${problem}`);
  });
});

describe("what a plugin does wrong", () => {
  const broken = (): never => {
    throw new TypeError("x is undefined");
  };
  const relu = rule({ name: "r", doc: "", pattern: (p) => ({ root: p("nn.relu2", {}) }), rewrite: broken });

  it.each<[string, (build: PluginBuild) => void]>([
    ["its setup", broken],
    ["the pass q", (build) => build.pass(pass("q", broken), { phase: "fused" })],
    [
      "the pass q",
      (build) =>
        build.pass(
          pass("q", async () => broken()),
          { phase: "fused" },
        ),
    ],
    ["the rule r", (build) => build.rule(relu, { into: "fuse-gates" })],
    ["the ONNX op ::Relu", (build) => build.onnxOp("::Relu", broken)],
    ["on phase /fused/", (build) => build.onPhase(/fused/, broken)],
    [
      "the op p.negate",
      (build) => {
        addOp(build, "p.negate", { ...negate, infer: broken });
        build.onnxOp("::Relu", (context) => context.b.untyped("p.negate", { x: context.input(0) }, {}));
      },
    ],
  ])("is told as its fault: %s", async (what, setup) => {
    const faults = await faultsOf(() => compileWith(setup));
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatchObject({ code: "plugin-failed", at: "p" });
    expect(faults[0]!.message).toMatch(/^The plugin p failed in .*: x is undefined$/);
    expect(faults[0]!.message).toContain(what);
  });

  it("is told with the pass after which the graph is not valid", async () => {
    let calls = 0;
    const faults = await faultsOf(() =>
      compileWith((build) => {
        addOp(build, "p.odd", {
          ...negate,
          infer: () => [{ dtype: "f32", shape: calls++ < 1 ? [2, 3] : [3] }],
        });
        const breaks: Pass["run"] = (graph) => {
          const b = graph.edit("q");
          b.replace(graph.outputs[0]!.value, b.untyped("p.odd", { x: graph.inputs[0]! }, {})[0]!);
        };
        build.pass(pass("q", breaks), { phase: "fused", order: "last" });
      }),
    );
    expect(faults[0]).toMatchObject({
      code: "invalid-graph",
      message: expect.stringContaining("after q: p.odd"),
    });
  });

  it("leaves what it says of the model alone", async () => {
    const about = { code: "p-width", severity: "error", message: "The width is odd.", at: "x" } as const;
    const byReport = (build: PluginBuild) =>
      build.pass(
        pass("q", (_, context) => context.report(about)),
        { phase: "fused" },
      );
    expect(await faultsOf(() => compileWith(byReport))).toEqual([about]);
    const inference = (build: PluginBuild) =>
      build.onnxOp("::Relu", () => {
        throw new InferenceError("x is odd");
      });
    expect((await faultsOf(() => compileWith(inference)))[0]).toMatchObject({ code: "onnx-invalid-node" });
  });
});

it("a graph goes to where it is, and not back", async () => {
  const lowered = await lower(await load(input), "fused");
  expect((await lower(lowered, "fused")).graph).toBe(lowered.graph);
  await expect(lower(lowered, "canonical")).rejects.toThrow("a graph at fused does not go back to canonical");
});

describe("listeners", () => {
  it("hear each phase that matches, whatever the flags of the expression", async () => {
    const heard: string[] = [];
    await compileWith((build) => {
      build.onPhase(/./g, ({ phase, graph }) => {
        heard.push(`${phase} ${graph.nodes.length}`);
      });
    });
    expect(heard.map((entry) => entry.split(" ")[0])).toEqual([
      "import",
      "canonical",
      "fused",
      "stateful",
      "packed",
    ]);
    expect(heard[0]).toBe("import 7");
  });
});
