import { expect, test } from "vitest";
import { compare, namedGraph, numbers } from "./vulkan-run.ts";

/** Numbers from 0 to below a limit, which depend on the seed alone. */
function randomOf(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

/** Values are of three shapes, of the same number of elements: heads by tokens, tokens by heads, and rows of tokens. */
const shapes = { heads: "[1, 2, S, 8]", tokens: "[1, S, 2, 8]", rows: "[1, S, 16]" } as const;
type Shape = keyof typeof shapes;

interface Made {
  readonly name: string;
  readonly shape: Shape;
}

/** A graph of nodes for a delegate and for kernels, with the results of a few of them as outputs. */
function randomGraph(seed: number): readonly string[] {
  const random = randomOf(seed);
  const pick = <T>(items: readonly T[]): T => items[random(items.length)]!;
  const values: Made[] = (Object.keys(shapes) as Shape[]).map((shape) => ({ name: `%in${shape}`, shape }));
  const lines: string[] = [];
  let caches = 0;
  const add = (shape: Shape, node: string): string => {
    const name = `%v${values.length}`;
    lines.push(`${name} = ${node} : f32${shapes[shape]}`);
    values.push({ name, shape });
    return name;
  };
  const some = (shape?: Shape): Made =>
    pick(shape === undefined ? values.slice(-8) : values.filter((each) => each.shape === shape).slice(-5));
  const makers: readonly (() => void)[] = [
    () => {
      const { name, shape } = some();
      add(shape, `${pick(["neg", "sigmoid", "erf", "nn.silu", "tanh", "abs"])}(x: ${name})`);
    },
    () => {
      const { name, shape } = some();
      add(shape, `${pick(["mul", "minimum", "maximum", "sub"])}(a: ${name}, b: ${some(shape).name})`);
    },
    () => add("heads", `transpose(x: ${some("tokens").name}) {"perm":[0,2,1,3]}`),
    () => add("tokens", `transpose(x: ${some("heads").name}) {"perm":[0,2,1,3]}`),
    () => add("rows", `reshape(x: ${some("tokens").name}, shape: %drows)`),
    () => add("tokens", `reshape(x: ${some("rows").name}, shape: %dtokens)`),
    () => {
      const { name, shape } = some();
      add(shape, `reshape(x: ${name}, shape: %d${shape})`);
    },
    () =>
      add(
        "heads",
        `nn.rope(x: ${some("heads").name}, cos: ${pick(["%cos", "%cos", "%sin"])}, sin: %sin, start_pos: %p) {"interleaved":${random(6) === 0}}`,
      ),
    () => add("rows", `nn.linear(x: ${some("rows").name}, weight: %w)`),
    () =>
      add(
        "rows",
        `bitnet.linear(x: ${some("rows").name}, weight: %t, scale: %s) {"activations":"int8-per-token","group":0}`,
      ),
    () => {
      const { name, shape } = some();
      add(shape, `softmax(x: ${name}) {"axis":${pick([-1, -1, 2])}}`);
    },
    () => {
      const { name, shape } = some();
      add(shape, `nn.rms_norm(x: ${name}, scale: ${shape === "rows" ? "%n16" : "%n8"}) {"eps":0.0001}`);
    },
    () => {
      if (caches === 2) return;
      const layer = caches++;
      const [q, k, v] = ["q", "k", "v"].map(() => some("heads").name);
      for (const [i, rows] of [k, v].entries())
        lines.push(
          `%u${layer}${i} = kv.update(cache: %c${layer}${i}, new: ${rows}, start_pos: %p) : f32[1, 2, 16, 8]`,
        );
      const window = pick([0, 0, 3]);
      add(
        "heads",
        `nn.sdpa(q: ${q}, k: %u${layer}0, v: %u${layer}1, start_pos: %p) {"causal":true,"scale":0.5,"softcap":0,"window":${window}}`,
      );
    },
  ];
  for (let i = 0; i < 24; i++) pick(makers)();
  const outputs = new Set([values.at(-1)!, ...Array.from({ length: 4 }, () => pick(values))]);
  const declared = Array.from({ length: caches }, (_, layer) =>
    [0, 1].map((i) => `%c${layer}${i} = state "kv.${layer}.${i}" : f32[1, 2, 16, 8]`),
  ).flat();
  return [
    "symbol P 0..16",
    "symbol S 1..8",
    `%p = input "start_pos" = [P] : i64[1]`,
    ...Object.entries(shapes).map(([name, shape]) => `%in${name} = input "${name}" : f32${shape}`),
    ...Object.entries(shapes).map(
      ([name, shape]) => `%d${name} = dims ${shape} : i64[${shape.split(",").length}]`,
    ),
    ...declared,
    `%cos = const f32[16, 4] {${numbers(64)}}`,
    `%sin = const f32[16, 4] {${numbers(64, 7)}}`,
    `%w = const f32[16, 16] {${numbers(256, 3)}}`,
    `%t = const i8[16, 16] {${Array.from({ length: 256 }, (_, i) => ((i * 5 + (i >> 3)) % 3) - 1).join(", ")}}`,
    "%s = const f32[1] {0.25}",
    `%n16 = const f32[16] {${numbers(16)}}`,
    `%n8 = const f32[8] {${numbers(8)}}`,
    ...lines,
    ...[...outputs].map(({ name }, i) => `output "${i}" ${name}`),
  ];
}

const conversation = [
  { S: 3, P: 0 },
  { S: 8, P: 3 },
  { S: 1, P: 11 },
  { S: 4, P: 2 },
];

test.each(Array.from({ length: 60 }, (_, seed) => seed))(
  "graph %i computes what its nodes do",
  async (seed) => {
    const graph = namedGraph(randomGraph(seed));
    const { error } = await compare(graph, { calls: conversation, range: [-1, 1] });
    expect(error).toBeLessThan(1e-4);
  },
);
