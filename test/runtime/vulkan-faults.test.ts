import { describe, expect, test } from "vitest";
import type { VulkanTensor } from "../../src/serialize/vulkan-graph.ts";
import type { DType } from "../../src/tensor/dtype.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { GraphWriter } from "./vulkan-graph.ts";

type Write = (
  g: GraphWriter,
) => { readonly inputs?: readonly number[]; readonly outputs?: readonly number[] } | undefined;

const faultsOf = (write: Write): readonly string[] => {
  const g = new GraphWriter();
  const { inputs, outputs } = write(g) ?? {};
  // Tensors are inputs unless said otherwise.
  const written = new Set(g.calls.flatMap(({ args }) => [args.at(-1)!]));
  const isInput = (at: number) => {
    const value = g.values[at]!;
    return value.type === "VkTensor" && value.constant === undefined && !written.has(at);
  };
  const { missing, malformed } = g.faults(inputs ?? [...g.values.keys()].filter(isInput), outputs ?? []);
  return [...[...missing].map(([op, at]) => `${op} at ${at}`), ...malformed];
};

const zeros = (g: GraphWriter, dtype: DType, ...shape: number[]): number => g.constant(tensor(dtype, shape));
const linear =
  (options: { x?: number[]; codes?: number[]; scales?: number[]; group?: number; dtype?: DType }): Write =>
  (g) => {
    const { x = [1, 8], codes = [4, 4], scales = [1, 4], group = 8, dtype = "f32" } = options;
    const weights = [zeros(g, "u8", ...codes), zeros(g, dtype, ...scales), g.int(group), g.none()];
    g.call("et_vk.linear_q4gsw.default", g.tensor("f32", x), ...weights, g.tensor("f32", [1, codes[0]!]));
    return undefined;
  };
const cached =
  (options: {
    q?: number[];
    k?: number[];
    cache?: number[];
    mask?: boolean;
    scale?: boolean;
    causal?: boolean;
    dropout?: number;
  }): Write =>
  (g) => {
    const { q = [1, 2, 4, 8], k = [1, 2, 2, 8], cache = [1, 6, 2, 8] } = options;
    const [key, value] = [g.tensor("f32", k), g.tensor("f32", k)];
    const [keys, values] = [zeros(g, "f32", ...cache), zeros(g, "f32", ...cache)];
    const mask = options.mask ? g.tensor("f32", [2, 6]) : g.none();
    const rest = [
      ...[g.int(0), g.int(2), mask, g.double(options.dropout ?? 0), g.bool(options.causal ?? true)],
      ...[options.scale ? g.double(1) : g.none(), g.tensor("f32", q)],
    ];
    g.call("sdpa_with_kv_cache.default", g.tensor("f32", q), key, value, keys, values, ...rest);
    return undefined;
  };
const rotary =
  (q: number[], table: number[], op = "et_vk.apply_rotary_emb_hf.default"): Write =>
  (g) => {
    const [queries, keys] = [g.tensor("f32", q), g.tensor("f32", q)];
    const [cos, sin] = [g.tensor("f32", table), g.tensor("f32", table)];
    const results = g.list(g.tensor("f32", q), g.tensor("f32", q));
    g.call(op, queries, keys, cos, sin, ...(op.includes("hf") ? [g.int(0)] : []), results);
    return { inputs: [queries, keys, cos, sin] };
  };
const unary =
  (op: string, x: number[], out: number[], dtypes: [DType, DType] = ["f32", "f32"]): Write =>
  (g) => {
    g.call(op, g.tensor(dtypes[0], x), g.tensor(dtypes[1], out));
    return undefined;
  };
const add =
  (a: number[], b: number[], out: number[], more: Partial<VulkanTensor> = {}): Write =>
  (g) => {
    g.call("aten.add.Tensor", g.tensor("f32", a, more), g.tensor("f32", b), g.int(1), g.tensor("f32", out));
    return undefined;
  };
const amax =
  (axes: number[], keepdims: boolean, more: Partial<VulkanTensor> = {}): Write =>
  (g) => {
    const out = g.tensor("f32", [2, 3, 1], more);
    g.call("aten.amax.default", g.tensor("f32", [2, 3, 4], more), g.ints(...axes), g.bool(keepdims), out);
    return undefined;
  };
const texture: Partial<VulkanTensor> = { storage: "TEXTURE_3D" };

/** What is wrong, and half a sentence about it. */
const faults: Readonly<Record<string, readonly [Write, RegExp]>> = {
  "an op that is not there": [
    unary("aten.log.default", [1], [1]),
    /^aten.log.default at call 0 of the graph$/,
  ],
  "too few arguments": [
    (g) => {
      g.call("aten.abs.default", g.tensor("f32", [1]));
      return undefined;
    },
    /call 0 of the graph is of aten.abs.default with 1 arguments in place of 2/,
  ],
  "a constant as the primary input": [
    (g) => {
      g.call("aten.abs.default", zeros(g, "f32", 1), g.tensor("f32", [1]));
      return undefined;
    },
    /the constant 0 as argument 0, where a tensor that is no constant is expected/,
  ],
  "a constant as a result": [
    (g) => {
      g.call("aten.abs.default", g.tensor("f32", [1]), zeros(g, "f32", 1));
      return undefined;
    },
    /the constant 1 as argument 1/,
  ],
  "a tensor where a constant is wanted": [
    (g) => {
      const [x, weight, out] = [g.tensor("f32", [1, 4]), g.tensor("f32", [4]), g.tensor("f32", [1, 4])];
      g.call("et_vk.rms_norm.default", x, weight, g.double(1e-5), out);
      return undefined;
    },
    /the value 1, VkTensor, as argument 1, where a constant is expected/,
  ],
  "an op of integers without a shader": [
    unary("aten.exp.default", [1], [1], ["i32", "i32"]),
    /tensors of i32/,
  ],
  "a result of another type": [unary("aten.exp.default", [1], [1], ["f32", "f16"]), /of f32 and f16/],
  "a type without shaders": [unary("aten.abs.default", [1], [1], ["i64", "i64"]), /a tensor 0 of INT64/],
  "too many axes": [unary("aten.abs.default", [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]), /a tensor 0 of 5 axes/],
  "shapes that do not broadcast": [add([2, 3], [2], [2, 3]), /\[2, 3\] and \[2\], which do not broadcast/],
  "a result that is not what is broadcast": [add([2, 3], [3], [4, 3]), /a result of \[4, 3\] in place of/],
  "different layouts": [add([2], [2], [2], { layout: "TENSOR_HEIGHT_PACKED" }), /of different layouts/],
  "columns of 6": [linear({ codes: [6, 4], scales: [1, 6] }), /columns of 6, which is no multiple of 4/],
  "groups of 6": [linear({ x: [1, 12], codes: [4, 6], scales: [2, 4], group: 6 }), /groups of 6, which is/],
  "groups that do not divide": [linear({ group: 12 }), /rows of 8, which is no multiple of 12/],
  "codes of another depth": [linear({ x: [1, 16] }), /codes of \[4, 4\] in place of \[4, 8\]/],
  "scales that lie the other way": [linear({ scales: [4, 1] }), /scales of \[4, 1\] in place of \[1, 4\]/],
  "scales of another type": [linear({ dtype: "f16" }), /tensors of f32 and f16/],
  "several matrices": [linear({ x: [2, 1, 8] }), /rows in \[2, 1, 8\] in place of \[M, K\] or \[1, M, K\]/],
  "an embedding of 16": [
    (g) => {
      const weights = [zeros(g, "u8", 2, 8), zeros(g, "f32", 2, 1), g.int(16)];
      const rest = [g.tensor("i32", [1, 1]), g.bool(true), g.tensor("f32", [1, 1, 16])];
      g.call("et_vk.embedding_q4gsw.default", ...weights, ...rest);
      return undefined;
    },
    /a width of 16, which is no multiple of 32/,
  ],
  "a batch of caches": [cached({ cache: [2, 6, 2, 8] }), /a cache of \[2, 6, 2, 8\] in place of/],
  "rows of other heads": [cached({ k: [1, 2, 4, 8] }), /rows of \[1, 2, 4, 8\] for a cache of/],
  "heads that do not divide": [cached({ q: [1, 2, 3, 8] }), /3 heads for 2 of keys/],
  "heads of 6": [
    cached({ q: [1, 2, 4, 6], k: [1, 2, 2, 6], cache: [1, 6, 2, 6] }),
    /a head's width of 6, which is no multiple of 4/,
  ],
  "a mask": [cached({ mask: true }), /argument 7, where none is expected/],
  "a scale": [cached({ scale: true }), /argument 10, where none is expected/],
  "no causal mask": [cached({ causal: false }), /with no causal mask/],
  "a dropout": [cached({ dropout: 0.5 }), /the dropout 0.5/],
  "a copy of a buffer in its own type": [
    (g) => {
      const none = g.none();
      const rest = [none, none, none, none, none, none, g.tensor("f32", [1])];
      g.call("aten._to_copy.default", g.tensor("f32", [1]), ...rest);
      return undefined;
    },
    /f32 in a buffer to become f32/,
  ],
  "an axis counted from the end in an order": [
    (g) => {
      g.call("aten.permute_copy.default", g.tensor("f32", [2, 3]), g.ints(1, -2), g.tensor("f32", [3, 2]));
      return undefined;
    },
    /the order \[1, -2\] of 2 axes/,
  ],
  "rounding that is not down": [
    (g) => {
      const [a, b, out] = [0, 1, 2].map(() => g.tensor("f32", [2])) as [number, number, number];
      g.call("aten.div.Tensor_mode", a, b, g.text("trunc"), out);
      return undefined;
    },
    /the rounding "trunc" in place of "floor"/,
  ],
  "tables of 4": [rotary([1, 2, 2, 8], [4, 4]), /tables of 4, which is no multiple of 8/],
  "tables wider than heads": [rotary([1, 2, 2, 8], [4, 16]), /tables of 16 for heads of 8/],
  "tables of fewer positions": [rotary([1, 2, 2, 8], [1, 8]), /tables of 1 rows for 2 positions/],
  "pairs of another width": [
    rotary([1, 2, 2, 8], [2, 8], "et_vk.apply_rotary_emb.default"),
    /tables of 8 for heads of 8/,
  ],
  "an axis of a buffer that is not the last": [amax([1], true), /an axis of a buffer that is not the last/],
  "two axes of a buffer": [amax([1, 2], true), /an axis of a buffer that is not the last/],
  "three axes": [amax([0, 1, 2], true, texture), /with 3 axes/],
  "an axis of a texture that is dropped": [amax([2], false, texture), /an axis of a texture that is dropped/],
  "scores of a buffer that are not four at a time": [
    (g) => {
      const [q, k, v] = [0, 1, 2].map(() => g.tensor("f32", [1, 1, 3, 4])) as [number, number, number];
      g.call("et_vk.sdpa.default", q, k, v, g.none(), g.none(), g.tensor("f32", [1, 1, 3, 4]));
      return undefined;
    },
    /keys in buffers of 3, which is no multiple of 4/,
  ],
  "an integer from what is no input": [
    (g) => {
      const [x, y, n] = [g.tensor("i32", [1]), g.tensor("i32", [1]), g.symbol()];
      g.call("aten.clone.default", x, g.none(), y);
      g.call("et_vk.select_as_symint.default", y, g.int(0), g.int(0), n);
      return { inputs: [x] };
    },
    /where an input tensor is expected/,
  ],
  "a constant as an input": [(g) => ({ inputs: [zeros(g, "f32", 1)] }), /value 0 as an input/],
  "an int as an output": [(g) => ({ outputs: [g.int(1)] }), /value 0 as an output, which is Int/],
  "a constant that is too short": [
    (g) => {
      g.add({ ...g.values[zeros(g, "f32", 1)]!, dims: [2] } as VulkanTensor & { type: "VkTensor" });
      return undefined;
    },
    /a constant of 4 bytes for tensor 1, which takes 8/,
  ],
  "a tensor that nothing writes": [
    (g) => {
      g.call("aten.abs.default", g.tensor("f32", [1]), g.tensor("f32", [1]));
      return { inputs: [] };
    },
    /value 0, which aten.abs.default of call 0 of the graph reads before it is written/,
  ],
  "an integer that is written later": [
    (g) => {
      const [a, b] = [g.symbol(), g.symbol()];
      g.call("add", b, g.int(1), a);
      g.call("add", g.int(1), g.int(1), b);
      return undefined;
    },
    /value 1, which add of call 0 of the graph reads before it is written/,
  ],
  "an output that nothing writes": [
    (g) => ({ inputs: [], outputs: [g.tensor("f32", [1])] }),
    /the program reads/,
  ],
  "memory that another took": [
    (g) => {
      const x = g.tensor("f32", [1]);
      const [a, b, c] = [1, 1, 2].map((memoryObject) => g.tensor("f32", [1], { memoryObject })) as number[];
      g.call("aten.abs.default", x, a!);
      g.call("aten.neg.default", x, b!);
      g.call("aten.abs.default", a!, c!);
      return { inputs: [x] };
    },
    /value 1, which aten.abs.default of call 2 of the graph reads after value 2 took its memory/,
  ],
  "a result in memory that is read": [
    (g) => {
      const [a, b] = [1, 1].map((memoryObject) => g.tensor("f32", [1], { memoryObject })) as [number, number];
      g.call("aten.abs.default", a, b);
      return { inputs: [a] };
    },
    /value 1 as the result of aten.abs.default of call 0 of the graph in memory that it reads/,
  ],
  "a cache that is an input": [
    (g) => {
      const [rows, cache] = [1, 4].map((positions) => g.tensor("f32", [1, positions, 1, 4])) as [
        number,
        number,
      ];
      g.call("update_cache.default", rows, cache, g.int(0), g.none());
      return { inputs: [rows, cache] };
    },
    /value 1, which is to last, as an input/,
  ],
  "a cache that is a result": [
    (g) => {
      const [rows, cache] = [1, 1].map(() => g.tensor("f32", [1, 1, 1, 4])) as [number, number];
      g.call("update_cache.default", rows, cache, g.int(0), g.none());
      g.call("aten.abs.default", rows, cache);
      return { inputs: [rows] };
    },
    /value 1, which is to last, as the result of aten.abs.default of call 1 of the graph/,
  ],
  "a constant in memory that is shared": [
    (g) => {
      const kept = g.resident(tensor("f32", [1]), { memoryObject: 1 });
      g.call("aten.abs.default", kept, g.tensor("f32", [1], { memoryObject: 1 }));
      return { inputs: [] };
    },
    /value 0, which call 0 of the graph fills once, in memory that may be shared/,
  ],
};

describe("refuses", () => {
  test.each(Object.entries(faults))("%s", (_, [write, message]) => {
    expect(faultsOf(write).join("\n")).toMatch(message);
  });

  test("all that is wrong at once", () => {
    const found = faultsOf((g) => {
      unary("aten.log.default", [1], [1])(g);
      unary("aten.exp.default", [1], [1], ["i32", "i32"])(g);
      add([2, 3], [2], [2, 3])(g);
      return undefined;
    });
    expect(found).toHaveLength(3);
  });
});

test("takes what it is that the rest is a change of", () => {
  const each: readonly Write[] = [
    unary("aten.exp.default", [1], [1]),
    add([2, 3], [3], [2, 3]),
    linear({}),
    cached({}),
    rotary([1, 2, 2, 16], [4, 8]),
    rotary([1, 2, 2, 8], [2, 4], "et_vk.apply_rotary_emb.default"),
    amax([2], true),
    amax([1], true, texture),
  ];
  expect(each.flatMap(faultsOf)).toEqual([]);
});
