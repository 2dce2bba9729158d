import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BitnetcError } from "../../src/errors.ts";
import type { AttrValue } from "../../src/ir/ops/op.ts";
import type { ProgramGraph } from "../../src/runtime/graph.ts";
import { delegateFormat, readDelegate } from "../../src/serialize/delegate.ts";
import { encodeDelegate } from "../../src/serialize/delegate-encoder.ts";
import { writeDelegate } from "../../src/serialize/delegate-writer.ts";
import {
  addDims,
  type Dim,
  floorDivideDims,
  maxDims,
  minDims,
  moduloDims,
  multiplyDims,
  subtractDims,
  symbol,
} from "../../src/tensor/dim.ts";
import { dtypes, integerRange, isTernaryBlock } from "../../src/tensor/dtype.ts";
import { allocate, elementCount, roundToDType, type Tensor } from "../../src/tensor/tensor.ts";
import { fromJson, toJson } from "./flatc.ts";
import { noise, sampleBlobs, sampleGraph } from "./sample.ts";

const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof BitnetcError) return error.code;
    throw error;
  }
  return "none";
};

const fits = (graph: ProgramGraph) => encodeDelegate({ graph, blobs: sampleBlobs }, 2);

test("a graph with one of everything comes back as it was", () => {
  const bytes = writeDelegate(sampleGraph, sampleBlobs);
  expect(readDelegate(bytes)).toEqual({ version: 2, graph: sampleGraph, blobs: sampleBlobs });
  expect(writeDelegate(sampleGraph, sampleBlobs)).toEqual(bytes);
});

test("flatc reads what is written", () => {
  // JSON has no infinity.
  const nodes = sampleGraph.nodes.map((node) => ({ ...node, attrs: { ...node.attrs, infinite: 0 } }));
  const finite: ProgramGraph = { ...sampleGraph, nodes };
  const json = toJson("delegate", writeDelegate(finite, sampleBlobs)) as {
    version: number;
    symbols: object[];
    sizes: string[];
    values: { dtype?: string; shape: number[] }[];
    nodes: { op: string; args: object[] }[];
    constants: object[];
  };
  expect(json.version).toBe(2);
  expect(json.symbols).toEqual([
    { name: "seq", min: 1, max: 64 },
    { name: "past len", max: 960 },
  ]);
  const sizes = json.values.map(
    ({ dtype = "f64", shape }) => `${dtype}[${shape.map((i) => json.sizes[i]).join(", ")}]`,
  );
  expect(sizes).toContain("i64[1, s0]");
  expect(sizes).toContain("f32[1, s0, s0 + 2*s1]");
  expect(json.sizes).toContain("floordiv(s0 + 1, 2)");
  expect(json.nodes[0]?.op).toBe("nn.linear");
  expect(json.nodes[0]?.args[1]).toEqual({ name: "weight", values: [3] });
  expect(json.constants[1]).toEqual({
    value: 4,
    inline: { dtype: "f32", shape: [2], data: [0, 0, 0, 63, 0, 0, 0, 192] },
  });
});

const name = fc.string({ unit: "grapheme", maxLength: 6 });
const symbols = fc
  .record({ name, min: fc.nat(5), span: fc.nat(4000) })
  .map((s) => symbol(s.name, s.min + s.span, s.min));
/** Sizes have no negative zero. */
const withoutSign = (size: Dim): Dim => (size === 0 ? 0 : size);
/** Symbols of one name may differ in bounds only from one size to the next. */
const size: fc.Arbitrary<Dim> = fc
  .uniqueArray(symbols, { selector: (s) => (typeof s === "number" ? "" : s.key), minLength: 1, maxLength: 3 })
  .chain((atoms) => {
    const leaf = fc.oneof(fc.integer({ min: -5, max: 300 }), fc.constantFrom(...atoms));
    const operation = fc.constantFrom(
      addDims,
      subtractDims,
      multiplyDims,
      floorDivideDims,
      moduloDims,
      maxDims,
      minDims,
    );
    return fc
      .tuple(leaf, fc.array(fc.tuple(operation, leaf), { maxLength: 4 }))
      .map(([first, steps]) =>
        steps.reduce<Dim>((value, [apply, operand]) => withoutSign(apply(value, operand)), first),
      );
  });
const shape = fc.array(size, { maxLength: 4 });

const inlineTensor: fc.Arbitrary<Tensor> = fc
  .tuple(fc.constantFrom(...dtypes), fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }))
  .chain(([dtype, shape]) => {
    const count = isTernaryBlock(dtype) ? 66 : elementCount(shape);
    const [min, max] = dtype === "bool" ? [0, 1] : (integerRange(dtype) ?? [0, 255]);
    const element =
      /^(bf|f)\d/.test(dtype) || dtype === "f64"
        ? fc.double({ min: -1e4, max: 1e4 })
        : fc.integer({ min: Math.max(min, -(2 ** 53) + 1), max: Math.min(max, 2 ** 53 - 1) });
    return fc.array(element, { minLength: count, maxLength: count }).map((elements) => {
      const data = allocate(dtype, count);
      data.set(elements);
      roundToDType(dtype, data);
      return { dtype, shape, data };
    });
  });

const attribute: fc.Arbitrary<AttrValue> = fc.oneof(
  fc.double(),
  fc.boolean(),
  name,
  fc.array(fc.double(), { maxLength: 3 }),
  fc.array(name, { maxLength: 3 }),
);
const record = <T>(value: fc.Arbitrary<T>) =>
  fc.dictionary(fc.oneof(name, fc.constant("__proto__")), value, { maxKeys: 3 });
const unique = fc.uniqueArray(name, { maxLength: 3 });

/** Values are numbered as they are given: inputs, states, dims, constants, results. */
const graphs: fc.Arbitrary<ProgramGraph> = fc
  .record({
    inputs: unique,
    contents: fc.array(fc.option(shape, { nil: undefined }), { minLength: 3, maxLength: 3 }),
    states: unique,
    dims: fc.array(shape, { maxLength: 2 }),
    inline: fc.array(inlineTensor, { maxLength: 3 }),
    keys: fc.array(fc.constantFrom(...sampleBlobs.map(({ key }) => key)), { maxLength: 2 }),
    nodes: fc.array(
      fc.record({
        op: name,
        attrs: record(attribute),
        results: fc.nat(3),
        source: name,
        args: record(fc.oneof(fc.nat(), fc.array(fc.nat(), { maxLength: 3 }))),
      }),
      { maxLength: 5 },
    ),
    outputs: unique,
    types: fc.array(fc.record({ dtype: fc.constantFrom(...dtypes), shape }), {
      minLength: 40,
      maxLength: 40,
    }),
  })
  .map((seed) => {
    const values: ProgramGraph["values"][number][] = [];
    const give = (type: ProgramGraph["values"][number] = seed.types[values.length]!): number =>
      values.push(type) - 1;
    const inputs = seed.inputs.map((name, i) => {
      const contents = seed.contents[i];
      return contents === undefined ? { name, value: give() } : { name, value: give(), contents };
    });
    const states = seed.states.map((name) => ({ name, value: give() }));
    const dims = seed.dims.map((sizes) => ({ value: give(), sizes }));
    const constants = [
      ...seed.keys.map((key) => ({ value: give(), key })),
      ...seed.inline.map((inline) => ({ value: give(inline), inline })),
    ];
    const within = (n: number): number[] => (values.length === 0 ? [] : [n % values.length]);
    const nodes = seed.nodes.map(({ results, args, ...node }) => ({
      ...node,
      args: Object.fromEntries(
        Object.entries(args).map(([name, arg]) => [
          name,
          typeof arg === "number" ? (within(arg)[0] ?? []) : arg.flatMap(within),
        ]),
      ),
      results: Array.from({ length: results }, () => give()),
    }));
    const outputs =
      values.length === 0 ? [] : seed.outputs.map((name, i) => ({ name, value: i % values.length }));
    return {
      values: values.map(({ dtype, shape }) => ({ dtype, shape })),
      inputs,
      outputs,
      states,
      constants,
      dims,
      nodes,
    };
  });

test("any graph comes back as it was", () => {
  fc.assert(
    fc.property(graphs, (graph) => {
      expect(readDelegate(writeDelegate(graph, sampleBlobs)).graph).toEqual(graph);
    }),
    { numRuns: 300 },
  );
});

describe("what no writer wrote is refused", () => {
  const bytes = writeDelegate(sampleGraph, sampleBlobs);

  test("at every length", () => {
    for (let length = 0; length < bytes.length; length++)
      expect(
        codeOf(() => readDelegate(bytes.slice(0, length))),
        `${length} bytes`,
      ).toBe("program-corrupt");
  });

  test("or read as something, whatever byte is another", () => {
    for (let i = 0; i < bytes.length; i++) {
      for (const flip of [1, 0x80, 0xff]) {
        const changed = bytes.slice();
        changed[i]! ^= flip;
        expect(["none", "program-corrupt", "program-version"]).toContain(codeOf(() => readDelegate(changed)));
      }
    }
  });

  test("noise", () => {
    for (let seed = 0; seed < 200; seed++) {
      const garbage = noise(512, seed);
      garbage.set(bytes.subarray(0, 8));
      expect(codeOf(() => readDelegate(garbage))).toBe("program-corrupt");
    }
  });

  const refusals: Readonly<Record<string, Partial<ProgramGraph>>> = {
    "an input's value": { inputs: [...sampleGraph.inputs, { name: "x", value: 8 }] },
    "a value that is given twice": { states: [...sampleGraph.states, { name: "x", value: 0 }] },
    "two inputs of a name": {
      values: [...sampleGraph.values, { dtype: "f32", shape: [] }],
      inputs: [...sampleGraph.inputs, { name: "tokens", value: 8 }],
    },
    "a key that is not there": {
      constants: [{ value: 3, key: "missing" }, ...sampleGraph.constants.slice(1)],
    },
    "a constant of another type": {
      constants: [
        ...sampleGraph.constants.slice(0, 2),
        { value: 7, inline: { dtype: "f32", shape: [1], data: new Float32Array(1) } },
      ],
    },
    "an argument that is computed later": { nodes: [{ ...sampleGraph.nodes[0]!, args: { x: 6 } }] },
    "a result that is no value": { nodes: [{ ...sampleGraph.nodes[0]!, results: [6, 99] }] },
    "an output that nothing gives": { nodes: [] },
  };
  for (const [what, change] of Object.entries(refusals)) {
    test(what, () => {
      const graph = { ...sampleGraph, ...change };
      expect(codeOf(() => readDelegate(fits(graph)))).toBe("program-corrupt");
      expect(() => writeDelegate(graph, sampleBlobs)).toThrow("cannot be written");
    });
  }

  const encoded: Readonly<Record<string, object>> = {
    "an index of a size": { values: [{ dtype: "f32", shape: [1] }], sizes: ["1"] },
    "a size that is no expression": { values: [], sizes: ["1 +"] },
    "a size over an unknown symbol": { values: [], sizes: ["s0"] },
    "a size with millions of terms": {
      values: [],
      symbols: Array.from({ length: 20 }, (_, i) => ({ name: `n${i}`, max: 9 })),
      sizes: [
        Array(30)
          .fill(`max(0, ${Array.from({ length: 20 }, (_, i) => `s${i}`).join(" + ")})`)
          .join("*"),
      ],
    },
    "a size too deep to parse": { values: [], sizes: ["-".repeat(4000)] },
    "a size too long to parse": { values: [], sizes: [`1${" + 1".repeat(2000)}`] },
    "an element type": { values: [{ dtype: 19, shape: [] }] },
    "an attribute without a value": { nodes: [{ op: "a", attrs: [{ name: "b", kind: "boolean" }] }] },
    "an attribute of an unknown kind": { nodes: [{ op: "a", attrs: [{ name: "b", kind: 9 }] }] },
    "a node without an op": { nodes: [{ source: "a" }] },
    "one argument of two values": { nodes: [{ op: "a", args: [{ name: "b", values: [0, 0] }] }] },
    "a constant without elements": { values: [{ dtype: "f32" }], constants: [{ value: 0 }] },
    "a constant with too few elements": {
      values: [{ dtype: "f32", shape: [0] }],
      sizes: ["2"],
      constants: [{ value: 0, inline: { dtype: "f32", shape: [2], data: [0, 0, 0, 0] } }],
    },
    "a short hash": { blobs: [{ key: "a", size: 1, sha256: [1, 2] }] },
    "a size beyond all files": {
      blobs: [{ key: "a", size: "18446744073709551615", sha256: Array(32).fill(0) }],
    },
    "too few hashes of pieces": {
      chunk_size: 10,
      blobs: [{ key: "a", size: 11, sha256: Array(32).fill(0), chunks: Array(32).fill(0) }],
    },
    "pieces of no size": {
      blobs: [{ key: "a", size: 11, sha256: Array(32).fill(0), chunks: Array(32).fill(0) }],
    },
    "pieces of nothing": {
      chunk_size: 10,
      blobs: [{ key: "a", size: 0, sha256: Array(32).fill(0), chunks: [] }],
    },
  };
  for (const [what, json] of Object.entries(encoded)) {
    test(what, () => expect(codeOf(() => readDelegate(fromJson("delegate", json)))).toBe("program-corrupt"));
  }

  test("a newer version", () => {
    expect(codeOf(() => readDelegate(fromJson("delegate", { version: 3 })))).toBe("program-version");
  });

  test("another identifier", () => {
    const other = bytes.slice();
    other.set(new TextEncoder().encode("BNC2"), 4);
    expect(new TextDecoder().decode(bytes.subarray(4, 8))).toBe(delegateFormat);
    expect(codeOf(() => readDelegate(other))).toBe("program-corrupt");
  });
});
