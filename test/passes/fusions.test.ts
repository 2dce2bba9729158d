import { describe, expect, test } from "vitest";
import { type Builder, Graph, type Value } from "../../src/ir/graph.ts";
import { coreOps } from "../../src/ir/ops/index.ts";
import { literal, reshapeTo, sliceAxis, transposeLast } from "../../src/ir/shorthand.ts";
import { tensorType } from "../../src/ir/type.ts";
import { inlineWeight } from "../../src/ir/weights.ts";
import { parseOptions } from "../../src/options.ts";
import { evaluate } from "../../src/passes/evaluate.ts";
import { fuseActivationQuantization } from "../../src/passes/fused/fuse-activation-quantization.ts";
import { fuseAttention } from "../../src/passes/fused/fuse-attention.ts";
import { fuseBitnetLinear, placeActivationScales } from "../../src/passes/fused/fuse-bitnet-linear.ts";
import { fuseGates } from "../../src/passes/fused/fuse-gates.ts";
import { fuseLinear } from "../../src/passes/fused/fuse-linear.ts";
import { fuseNorms } from "../../src/passes/fused/fuse-norms.ts";
import { fuseRope } from "../../src/passes/fused/fuse-rope.ts";
import { recogniseTernary } from "../../src/passes/fused/recognise-ternary.ts";
import type { Pass, PassContext } from "../../src/passes/pass.ts";
import type { RuleReport } from "../../src/passes/rule.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";

/** Numbers of either sign, the same for the same shape and seed. */
function sample(shape: readonly number[], seed: number): Tensor {
  const value = tensor("f32", shape);
  for (let i = 0; i < value.data.length; i++) value.data[i] = 2 * Math.sin(12.9898 * (i + 1) + seed);
  return value;
}

interface Fused {
  readonly ops: readonly string[];
  /** Codes of the warnings. */
  readonly warnings: readonly string[];
  readonly rules: ReadonlyMap<string, RuleReport>;
}

/**
 * Applies passes to y = make(b, inputs…) and checks that y stays what it was, to f32 rounding.
 * @param shapes of the inputs, f32
 */
async function fused(
  passes: readonly Pass[],
  shapes: readonly (readonly number[])[],
  make: (b: Builder, ...inputs: Value[]) => Value,
): Promise<Fused> {
  const graph = new Graph(coreOps);
  const b = graph.edit("test");
  const inputs = shapes.map((shape, i) => b.input(`x${i}`, tensorType("f32", shape)));
  b.output("y", make(b, ...inputs));
  const given = new Map(inputs.map((input, i) => [input, sample(shapes[i]!, i)]));
  const compute = () => evaluate(graph.outputs[0]!.value, { inputs: given });
  const before = await compute();
  const warnings: string[] = [];
  const context: PassContext = {
    options: parseOptions({}),
    info: { frontend: "test", eosIds: [] },
    report: ({ code }) => warnings.push(code),
    metric: () => {},
    rules: new Map(),
    placed: {},
    lowerings: [],
  };
  for (const pass of passes) await pass.run(graph, context);
  const after = await compute();
  expect(after.shape).toEqual(before.shape);
  const largest = Math.max(...before.data.map(Math.abs));
  after.data.forEach((value, i) => {
    expect(Math.abs(value - before.data[i]!)).toBeLessThanOrEqual(2e-6 * largest);
  });
  return { ops: graph.nodes.map(({ op }) => op), warnings, rules: context.rules };
}

const constant = (b: Builder, shape: readonly number[], seed: number): Value =>
  b.constant(inlineWeight(sample(shape, seed)));
const number = (b: Builder, value: number): Value => literal(b, "f32", value);
const mul = (b: Builder, x: Value, y: Value): Value => b("mul", { a: x, b: y });
const add = (b: Builder, x: Value, y: Value): Value => b("add", { a: x, b: y });
const mean = (b: Builder, x: Value, axis = -1): Value =>
  b("reduce_mean", { x }, { axes: [axis], keepdims: true });

describe("gates", () => {
  const x = [[2, 3]];
  const gates: readonly (readonly [string, string, (b: Builder, x: Value) => Value])[] = [
    ["silu", "nn.silu", (b, x) => mul(b, b("sigmoid", { x }), x)],
    [
      "gelu",
      "nn.gelu",
      (b, x) => {
        const gate = add(b, b("erf", { x: b("div", { a: x, b: number(b, Math.SQRT2) }) }), number(b, 1));
        return mul(b, mul(b, x, gate), number(b, 0.5));
      },
    ],
    [
      "gelu-tanh",
      "nn.gelu",
      (b, x) => {
        const cube = b("pow", { a: x, b: number(b, 3) });
        const inner = add(b, x, mul(b, cube, number(b, 0.044715)));
        const gate = add(b, b("tanh", { x: mul(b, inner, number(b, Math.sqrt(2 / Math.PI))) }), number(b, 1));
        return mul(b, mul(b, x, number(b, 0.5)), gate);
      },
    ],
  ];
  test.each(gates)("%s", async (rule, op, make) => {
    const { ops, rules } = await fused([fuseGates], x, make);
    expect(ops).toEqual([op]);
    expect(rules.get(rule)?.matched).toBe(1);
  });
  test("relu2, of one relu that is multiplied by itself", async () => {
    const square = (b: Builder, x: Value): Value => mul(b, b("relu", { x }), b("relu", { x }));
    expect((await fused([fuseGates], x, square)).ops).toEqual(["relu", "relu", "mul"]);
    const shared = (b: Builder, x: Value): Value => {
      const rectified = b("relu", { x });
      return mul(b, rectified, rectified);
    };
    expect((await fused([fuseGates], x, shared)).ops).toEqual(["nn.relu2"]);
  });
  test("other numbers are other functions", async () => {
    const almost = (b: Builder, x: Value): Value => {
      const gate = add(b, b("erf", { x: b("div", { a: x, b: number(b, 1.5) }) }), number(b, 1));
      return mul(b, mul(b, x, gate), number(b, 0.5));
    };
    const { ops, rules } = await fused([fuseGates], x, almost);
    expect(ops).not.toContain("nn.gelu");
    expect(rules.get("gelu")?.misses[0]?.why).toContain("1.4142135623730951 was expected, it is 1.5");
  });
});

describe("norms", () => {
  const rms = (b: Builder, x: Value, scale: Value, axis?: number): Value => {
    const root = b("rsqrt", { x: add(b, mean(b, mul(b, x, x), axis), number(b, 1e-5)) });
    return mul(b, mul(b, x, root), scale);
  };
  test("RMSNorm, with the scale on either side", async () => {
    const scaled = (b: Builder, x: Value): Value => rms(b, x, constant(b, [6], 9));
    expect((await fused([fuseNorms], [[4, 6]], scaled)).ops).toEqual(["nn.rms_norm"]);
  });
  test("LayerNorm, with its bias", async () => {
    const make = (b: Builder, x: Value): Value => {
      const centred = b("sub", { a: x, b: mean(b, x) });
      const root = b("rsqrt", { x: add(b, mean(b, mul(b, centred, centred)), number(b, 1e-5)) });
      return add(b, mul(b, mul(b, centred, root), constant(b, [6], 8)), constant(b, [6], 7));
    };
    expect((await fused([fuseNorms], [[4, 6]], make)).ops).toEqual(["nn.layer_norm"]);
  });
  test("not over another axis, nor with a scale of another shape", async () => {
    const along = (b: Builder, x: Value): Value => rms(b, x, constant(b, [6], 9), 0);
    expect((await fused([fuseNorms], [[4, 6]], along)).ops).not.toContain("nn.rms_norm");
    const matrix = (b: Builder, x: Value): Value => rms(b, x, constant(b, [4, 6], 9));
    const { ops, rules } = await fused([fuseNorms], [[4, 6]], matrix);
    expect(ops).not.toContain("nn.rms_norm");
    expect(rules.get("rms-norm")?.misses[0]?.why).toBe("the scale is not a vector over the last axis");
  });
});

describe("attention", () => {
  const [B, H, S, D] = [1, 4, 3, 8];
  const shapes = [
    [B, H, S, D],
    [B, H, S, D],
    [B, H, S, D],
  ];
  const scores = (b: Builder, q: Value, k: Value): Value =>
    mul(b, b("matmul", { a: q, b: transposeLast(b, k) }), number(b, D ** -0.5));
  const weigh = (b: Builder, x: Value, v: Value): Value =>
    b("matmul", { a: b("softmax", { x }, { axis: -1 }), b: v });

  test("with a scale", async () => {
    const make = (b: Builder, q: Value, k: Value, v: Value): Value => weigh(b, scores(b, q, k), v);
    expect((await fused([fuseAttention], shapes, make)).ops).toEqual(["nn.sdpa"]);
  });
  test("with a mask that is added, and one that chooses", async () => {
    const added = (b: Builder, q: Value, k: Value, v: Value): Value =>
      weigh(b, add(b, scores(b, q, k), constant(b, [S, S], 5)), v);
    expect((await fused([fuseAttention], shapes, added)).ops).toEqual(["nn.sdpa"]);
    const chosen = (b: Builder, q: Value, k: Value, v: Value): Value => {
      const keep = b.constant(inlineWeight(tensor("bool", [S, S], [1, 0, 0, 1, 1, 0, 1, 1, 1])));
      const masked = b("where", { condition: keep, a: scores(b, q, k), b: number(b, -Infinity) });
      return weigh(b, masked, v);
    };
    expect((await fused([fuseAttention], shapes, chosen)).ops).toEqual(["nn.sdpa"]);
  });
  test("with heads of k and v that several of q share", async () => {
    const repeated = (b: Builder, x: Value): Value => {
      const split = reshapeTo(b, x, [B, 2, 1, S, D]);
      return reshapeTo(b, b("expand", { x: split, shape: b.dims([B, 2, 2, S, D]) }), [B, H, S, D]);
    };
    const make = (b: Builder, q: Value, k: Value, v: Value): Value =>
      weigh(b, scores(b, q, repeated(b, k)), repeated(b, v));
    const kept = [B, 2, S, D];
    expect((await fused([fuseAttention], [shapes[0]!, kept, kept], make)).ops).toEqual(["nn.sdpa"]);
  });
  test("not where hidden scores are not hidden", async () => {
    const make = (b: Builder, q: Value, k: Value, v: Value): Value => {
      const keep = b.constant(inlineWeight(tensor("bool", [S, S], [1, 0, 0, 1, 1, 0, 1, 1, 1])));
      return weigh(b, b("where", { condition: keep, a: scores(b, q, k), b: number(b, -1) }), v);
    };
    const { ops, rules } = await fused([fuseAttention], shapes, make);
    expect(ops).not.toContain("nn.sdpa");
    expect(rules.get("sdpa")?.misses[0]?.why).toBe("masked scores become -1, which softmax does not ignore");
  });
});

test("rotary embedding of halves, with tables that are as wide as the heads", async () => {
  const [S, D] = [3, 8];
  const table = (b: Builder, f: (x: number) => number, isRepeated: boolean): Value => {
    const angle = (i: number): number => Math.floor(i / D) * 0.3 ** (isRepeated ? i % (D / 2) : i % D);
    const elements = Array.from({ length: S * D }, (_, i) => f(angle(i)));
    return b.constant(inlineWeight(tensor("f32", [1, 1, S, D], elements)));
  };
  const make =
    (isRepeated: boolean) =>
    (b: Builder, x: Value): Value => {
      const [low, high] = [sliceAxis(b, x, 3, 0, D / 2), sliceAxis(b, x, 3, D / 2, D)];
      const rotated = b("concat", { inputs: [b("neg", { x: high }), low] }, { axis: -1 });
      const [cos, sin] = [table(b, Math.cos, isRepeated), table(b, Math.sin, isRepeated)];
      return add(b, mul(b, x, cos), mul(b, rotated, sin));
    };
  expect((await fused([fuseRope], [[1, 2, S, D]], make(true))).ops).toContain("nn.rope");
  const { ops, rules } = await fused([fuseRope], [[1, 2, S, D]], make(false));
  expect(ops).not.toContain("nn.rope");
  expect(rules.get("rope")?.misses[0]?.why).toContain("its two halves differ");
});

describe("linears", () => {
  test("a product with a constant matrix, and its bias", async () => {
    const make = (b: Builder, x: Value): Value =>
      add(b, b("matmul", { a: x, b: constant(b, [6, 5], 2) }), constant(b, [5], 3));
    expect((await fused([fuseLinear], [[2, 3, 6]], make)).ops).toEqual(["nn.linear"]);
  });
  test("not a product of two inputs", async () => {
    const make = (b: Builder, x: Value, y: Value): Value => b("matmul", { a: x, b: y });
    expect(
      (
        await fused(
          [fuseLinear],
          [
            [3, 6],
            [6, 2],
          ],
          make,
        )
      ).ops,
    ).toEqual(["matmul"]);
  });
  test("projections that were joined come apart", async () => {
    const make = (b: Builder, x: Value): Value => {
      const joined = b("matmul", { a: x, b: constant(b, [6, 8], 2) });
      return mul(b, sliceAxis(b, joined, 2, 0, 4), sliceAxis(b, joined, 2, 4, 8));
    };
    expect((await fused([fuseLinear], [[2, 3, 6]], make)).ops).toEqual(["nn.linear", "nn.linear", "mul"]);
  });
});

describe("bitnet.linear", () => {
  const passes = [
    fuseActivationQuantization,
    fuseLinear,
    placeActivationScales,
    recogniseTernary,
    fuseBitnetLinear,
  ];
  /** 127 / max(absmax(x), floor) */
  const scaleOf = (b: Builder, x: Value, floor: number): Value => {
    const absmax = b("reduce_max", { x: b("abs", { x }) }, { axes: [-1], keepdims: true });
    return b("div", { a: number(b, 127), b: b("maximum", { a: absmax, b: number(b, floor) }) });
  };
  const codes = (i: number): number => ((i * 7) % 3) - 1;
  const matrix = (b: Builder, element: (i: number) => number): Value =>
    b.constant(
      inlineWeight(
        tensor(
          "f32",
          [8, 6],
          Array.from({ length: 48 }, (_, i) => element(i)),
        ),
      ),
    );
  const model =
    (element: (i: number) => number, floor = 1e-5) =>
    (b: Builder, x: Value): Value => {
      const s = scaleOf(b, x, floor);
      const quantised = b("div", { a: b("round", { x: mul(b, x, s) }), b: s });
      return mul(b, b("matmul", { a: quantised, b: matrix(b, element) }), number(b, 0.37));
    };

  test("from quantisation, ternary weight and scale", async () => {
    const { ops, warnings, rules } = await fused(passes, [[2, 3, 8]], model(codes));
    expect(ops).toEqual(["bitnet.linear"]);
    expect(warnings).toEqual([]);
    expect(rules.get("ternary-linear")).toEqual({ matched: 1, misses: [] });
  });
  test("with a warning where every weight is zero", async () => {
    const { ops, warnings } = await fused(
      passes,
      [[2, 3, 8]],
      model(() => 0),
    );
    expect(ops).toEqual(["bitnet.linear"]);
    expect(warnings).toEqual(["weight-all-zero"]);
  });
  test("not with a weight of four values", async () => {
    const { ops, rules } = await fused(
      passes,
      [[2, 3, 8]],
      model((i) => (i === 5 ? 0.5 : codes(i))),
    );
    expect(ops).not.toContain("bitnet.linear");
    expect(rules.get("ternary-linear")?.misses[0]?.why).toMatch(/^row \d has 2 different magnitudes/);
  });
  test("with float activations, where they are quantised in another way", async () => {
    const { ops, rules } = await fused(passes, [[2, 3, 8]], model(codes, 1e-3));
    expect(ops).toContain("bitnet.linear");
    expect(ops).toContain("round");
    expect(rules.get("activation-quantization")?.misses[0]?.why).toContain("is clamped at 0.001");
  });
});
