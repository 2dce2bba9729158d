import { describe, expect, test } from "vitest";
import { BitnetcError, type Diagnostic } from "../../src/errors.ts";
import type { Importer } from "../../src/frontend/onnx/importer.ts";
import { importOnnx, type OnnxImportOptions } from "../../src/frontend/onnx/load.ts";
import type { Graph, Value } from "../../src/ir/graph.ts";
import { coreOps } from "../../src/ir/ops/index.ts";
import { formatType } from "../../src/ir/type.ts";
import { dimKey } from "../../src/tensor/dim.ts";
import { memoryFiles } from "../../src/tensor/source.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import {
  attribute,
  encodeField,
  type GraphFields,
  graphAttribute,
  type ModelParts,
  modelBytes,
  modelSource,
  node,
  onnx,
  rawTensor,
  reference,
  tensorAttribute,
  value,
} from "./build-model.ts";

const types = onnx.AttributeProto.AttributeType;
const [float, int64, bool] = [1, 7, 9];

async function importGraph(parts: ModelParts, options?: OnnxImportOptions): Promise<Graph> {
  return (await importOnnx(modelSource(parts), undefined, coreOps, options)).graph;
}

async function faultsOf(parts: ModelParts, options?: OnnxImportOptions): Promise<readonly Diagnostic[]> {
  try {
    await importGraph(parts, options);
  } catch (error) {
    if (error instanceof BitnetcError) return error.diagnostics;
    throw error;
  }
  return [];
}

const codes = async (parts: ModelParts, options?: OnnxImportOptions) =>
  (await faultsOf(parts, options)).map(({ code, at }) => `${code} ${at}`);

/** `add(x, mul(x, y))`: the first output as an expression over inputs and small constants. */
function expression(graph: Graph): string {
  const write = (v: Value): string => {
    if (v.def.kind === "input") return v.def.name;
    if (v.def.kind === "const") return `[${v.def.data.inline?.data.join(" ") ?? v.def.data.id}]`;
    if (v.def.kind !== "node") return `[${v.contents?.map(dimKey).join(" ")}]`;
    return `${v.node!.op}(${v.node!.operands.map(write).join(", ")})`;
  };
  return write(graph.outputs[0]!.value);
}

const floats = (name: string, ...data: number[]) =>
  rawTensor(name, float, [data.length], Float32Array.from(data));
const ints = (name: string, ...data: number[]) =>
  rawTensor(name, int64, [data.length], BigInt64Array.from(data.map(BigInt)));
const flag = (name: string, on: boolean) => rawTensor(name, bool, [], Uint8Array.of(Number(on)));
const x = value("x", float, ["n", 4]);
const y = { name: "y" };

describe("inputs", () => {
  const shapes = async (...input: NonNullable<GraphFields["input"]>) =>
    (await importGraph({ graph: { input, node: [], output: [] } })).inputs.map(({ type }) =>
      formatType(type),
    );

  test("sizes are numbers, names, and expressions over names that are sizes themselves", async () => {
    expect(
      await shapes(
        value("a", float, [1, "past", "seq"]),
        value("b", int64, ["past + seq", "2*seq", "seq + other"]),
      ),
    ).toEqual(["f32[1, past, seq]", "i64[past + seq, 2*seq, seq___other]"]);
  });

  test("odd names become symbols, unknown sizes get one", async () => {
    expect(
      await shapes(
        value("in put", float, ["batch size", "a-b", "batch size", "3d"]),
        value("b", float, [undefined, ""]),
      ),
    ).toEqual(["f32[batch_size, a_b, batch_size, _3d]", "f32[b_dim0, b_dim1]"]);
    expect(await shapes(value("x", float, [undefined]), value("y", float, ["x_dim0"]))).toEqual([
      "f32[x_dim0_2]",
      "f32[x_dim0]",
    ]);
  });

  test("an initializer that is listed as an input is a constant", async () => {
    const graph: GraphFields = {
      input: [x, value("w", float, [4])],
      initializer: [floats("w", 1, 2, 3, 4)],
      node: [node("Add", ["x", "w"], ["y"])],
      output: [y],
    };
    const imported = await importGraph({ graph, irVersion: 3 });
    expect(imported.inputs.length).toBe(1);
    expect(expression(imported)).toBe("add(x, [1 2 3 4])");
  });

  test("given values replace inputs, and their sizes replace symbols", async () => {
    const graph: GraphFields = {
      input: [x, value("k", float, ["n", 1])],
      node: [node("Mul", ["x", "k"], ["y"])],
      output: [y],
    };
    const imported = await importGraph({ graph }, { constants: { k: tensor("f32", [2, 1], [5, 6]) } });
    expect(imported.inputs.map(({ type }) => formatType(type))).toEqual(["f32[2, 4]"]);
    expect(expression(imported)).toBe("mul(x, [5 6])");
    const wrong = { constants: { k: tensor("i64", [2, 1], [5, 6]), z: tensor("f32", [], [1]) } };
    expect(await codes({ graph }, wrong)).toEqual(["onnx-constant-mismatch k", "onnx-no-such-input z"]);
  });

  test("types and shapes that are not supported", async () => {
    const input = [
      value("a", float),
      value("b", 8, [1]),
      { name: "c", type: { sequenceType: {} } },
      { name: "d" },
    ];
    expect(await codes({ graph: { input } })).toEqual([
      "onnx-input-shape a",
      "onnx-input-type b",
      "onnx-input-type c",
      "onnx-input-type d",
    ]);
  });
});

describe("nodes", () => {
  test("places name the node, or its op and index", async () => {
    const graph = {
      input: [x],
      node: [node("Relu", ["x"], ["t"], [], { name: "/act/Relu" }), node("Relu", ["t"], ["y"])],
      output: [y],
    };
    const { nodes } = await importGraph({ graph });
    expect(nodes.map(({ loc }) => loc.source)).toEqual(["onnx:/act/Relu", "onnx:Relu#1"]);
  });

  test("outputs may be inputs, constants and used twice", async () => {
    const graph = {
      input: [x],
      initializer: [floats("w", 3)],
      node: [node("Relu", ["x"], ["t"])],
      output: [{ name: "t" }, { name: "x" }, { name: "w" }],
    };
    const imported = await importGraph({ graph });
    expect(imported.outputs.map(({ name, value: v }) => `${name} ${v.def.kind}`)).toEqual([
      "t node",
      "x input",
      "w const",
    ]);
  });

  test("Constant in all its forms", async () => {
    const forms = [
      tensorAttribute("value", floats("", 1, 2)),
      { ...attribute("value_float", 0.5), name: "value_float" },
      { name: "value_int", type: types.INT, i: 3 },
      { name: "value_floats", type: types.FLOATS, floats: [1, 2.5] },
      { name: "value_ints", type: types.INTS, ints: [4, -5] },
    ];
    const graph = {
      node: forms.map((form, i) => node("Constant", [], [`c${i}`], [form])),
      output: forms.map((_, i) => ({ name: `c${i}` })),
    };
    const { outputs } = await importGraph({ graph });
    expect(
      outputs.map(({ value: v }) => [
        formatType(v.type),
        v.def.kind === "const" && [...v.def.data.inline!.data],
      ]),
    ).toEqual([
      ["f32[2]", [1, 2]],
      ["f32[]", [0.5]],
      ["i64[]", [3]],
      ["f32[2]", [1, 2.5]],
      ["i64[2]", [4, -5]],
    ]);
    const text = { name: "value_string", type: types.STRING, s: Uint8Array.of(65) };
    expect(await codes({ graph: { node: [node("Constant", [], ["y"], [text])], output: [y] } })).toEqual([
      "onnx-unsupported Constant#0",
    ]);
  });

  test("integers computed from constants are known", async () => {
    const graph = {
      input: [x],
      initializer: [floats("f", 2, 2.9), ints("one", 1)],
      node: [
        node("Cast", ["f"], ["i"], [attribute("to", int64)]),
        node("Concat", ["one", "i"], ["shape"], [attribute("axis", 0)]),
        node("Expand", ["x", "shape"], ["y"]),
      ],
      output: [y],
    };
    const static4 = { ...graph, input: [value("x", float, [2, 1])] };
    const imported = await importGraph({ graph: static4 });
    expect(expression(imported)).toBe("expand(x, [1 2 2])");
    expect(formatType(imported.outputs[0]!.value.type)).toBe("f32[1, 2, 2]");
  });

  test("what cannot be computed is left to the program", async () => {
    const graph = {
      initializer: [floats("list", 1, 2), ints("index", 5)],
      node: [node("Gather", ["list", "index"], ["t"]), node("Cast", ["t"], ["y"], [attribute("to", int64)])],
      output: [y],
    };
    expect(expression(await importGraph({ graph }))).toBe("cast(gather([1 2], [5]))");
  });

  test("an input whose elements must be known is named, and can be given", async () => {
    const graph = {
      input: [x, value("shape", int64, [2])],
      node: [node("Identity", ["shape"], ["s"]), node("Reshape", ["x", "s"], ["y"], [], { name: "r" })],
      output: [y],
    };
    const faults = await faultsOf({ graph });
    expect(faults.map(({ code, at }) => `${code} ${at}`)).toEqual(["needs-constant-input shape"]);
    const imported = await importGraph({ graph }, { constants: { shape: tensor("i64", [2], [2, -1]) } });
    expect(imported.outputs[0]!.value.type.shape.map(dimKey)).toEqual(["2", "2*n"]);
  });

  test("plugins go first, and add ops", async () => {
    const importers = new Map<string, Importer>([
      ["acme::Square", (context) => [context.b("mul", { a: context.input(0), b: context.input(0) })]],
      ["::Relu", (context) => [context.b("neg", { x: context.input(0) })]],
    ]);
    const graph = {
      input: [x],
      node: [node("Square", ["x"], ["t"], [], { domain: "acme" }), node("Relu", ["t"], ["y"])],
      output: [y],
    };
    expect(expression(await importGraph({ graph }, { importers }))).toBe("neg(mul(x, x))");
  });
});

describe("versions", () => {
  const graph = { input: [x], node: [node("Relu", ["x"], ["y"])], output: [y] };
  test("opset 7 is the oldest, the newest is not bounded", async () => {
    const add = { ...graph, node: [node("Add", ["x", "x"], ["y"])] };
    expect(await codes({ graph: add, opsets: { "": 6 } })).toEqual(["onnx-opset Add#0"]);
    expect(await codes({ graph, opsets: { "": 7 }, irVersion: 3 })).toEqual([]);
    expect(await codes({ graph, opsets: { "ai.onnx": 99 }, irVersion: 99 })).toEqual([]);
    expect(await codes({ graph, opsets: { "": 1 } })).toEqual([]); // Relu has always been the same.
    expect(await codes({ graph, opsets: { custom: 1 } })).toEqual(["onnx-opset Relu#0"]);
  });
});

describe("functions", () => {
  const call = (more: Parameters<typeof node>[3] = []) => ({
    input: [x],
    node: [node("F", ["x"], ["y"], more, { domain: "my", name: "call" })],
    output: [y],
  });
  const softmax = (axis: Parameters<typeof node>[3]) => [
    node("Relu", ["a"], ["t"]),
    node("Softmax", ["t"], ["b"], axis, { name: "inner" }),
  ];
  const opsetImport = [{ domain: "", version: 20 }];

  test("are inlined, with attributes handed down", async () => {
    const fn = {
      name: "F",
      domain: "my",
      input: ["a", "missing"],
      output: ["b"],
      opsetImport,
      node: softmax([reference("axis", "dim", types.INT)]),
    };
    const imported = await importGraph({ graph: call([attribute("dim", 0)]), functions: [fn] });
    expect(expression(imported)).toBe("softmax(relu(x))");
    expect(imported.nodes[1]?.attrs).toEqual({ axis: 0 });
    expect(imported.nodes[1]?.loc.source).toBe("onnx:call/inner");
    const byDefault = await importGraph({ graph: call(), functions: [fn] });
    expect(byDefault.nodes[1]?.attrs).toEqual({ axis: 1 });
  });

  test("attributes have defaults", async () => {
    const fields = { name: "F", domain: "my", input: ["a"], output: ["b"], opsetImport };
    const fn = Uint8Array.from([
      ...onnx.FunctionProto.encode({
        ...fields,
        node: softmax([reference("axis", "dim", types.INT)]),
      }).finish(),
      ...encodeField(11, onnx.AttributeProto.encode(attribute("dim", 0)).finish()),
    ]);
    const bytes = Uint8Array.from([...modelBytes({ graph: call() }), ...encodeField(25, fn)]);
    const source = {
      name: "m",
      size: bytes.length,
      read: async (from: number, to: number) => bytes.slice(from, to),
    };
    expect((await importOnnx(source, undefined, coreOps)).graph.nodes[1]?.attrs).toEqual({ axis: 0 });
  });

  test("nest, keep their names apart, and may not call themselves", async () => {
    const inner = {
      name: "G",
      domain: "my",
      input: ["x"],
      output: ["t"],
      opsetImport,
      node: [node("Neg", ["x"], ["t"])],
    };
    const outer = {
      name: "F",
      domain: "my",
      input: ["t"],
      output: ["z"],
      opsetImport: [...opsetImport, { domain: "my", version: 1 }],
      node: [node("G", ["t"], ["u"], [], { domain: "my" }), node("Add", ["u", "t"], ["z"])],
    };
    expect(expression(await importGraph({ graph: call(), functions: [outer, inner] }))).toBe(
      "add(neg(x), x)",
    );
    const endless = { ...inner, node: [node("F", ["x"], ["t"], [], { domain: "my" })] };
    expect(await codes({ graph: call(), functions: [outer, endless] })).toEqual([
      "onnx-recursion call/my::G#0/my::F#0",
    ]);
  });

  test("outputs that the call does not use are not imported", async () => {
    const fn = {
      name: "F",
      domain: "my",
      input: ["a"],
      output: ["b", "unused"],
      opsetImport,
      node: [node("Relu", ["a"], ["b"]), node("Foo", ["a"], ["unused"])],
    };
    expect(expression(await importGraph({ graph: call(), functions: [fn] }))).toBe("relu(x)");
  });

  test("optional inputs may be left out inside too", async () => {
    const fn = {
      name: "F",
      domain: "my",
      input: ["a", "low"],
      output: ["b"],
      opsetImport,
      node: [node("Clip", ["a", "low"], ["b"])],
    };
    const importers = new Map<string, Importer>([
      ["::Clip", ({ b, node: { inputs } }) => [b(inputs[1] ? "neg" : "relu", { x: inputs[0]! })]],
    ]);
    expect(expression(await importGraph({ graph: call(), functions: [fn] }, { importers }))).toBe("relu(x)");
  });
});

describe("If", () => {
  const branch = (op: string): GraphFields => ({
    node: [node(op, ["t"], ["r"], [], { name: op })],
    output: [{ name: "r" }],
  });
  const graph: GraphFields = {
    input: [x],
    node: [
      node("Neg", ["x"], ["t"]),
      node(
        "If",
        ["c"],
        ["y"],
        [graphAttribute("then_branch", branch("Relu")), graphAttribute("else_branch", branch("Abs"))],
        {
          name: "if",
        },
      ),
    ],
    output: [y],
  };

  test("the branch that is taken is inlined and sees the values around it", async () => {
    const imported = await importGraph({ graph: { ...graph, initializer: [flag("c", true)] } });
    expect(expression(imported)).toBe("relu(neg(x))");
    expect(imported.nodes[1]?.loc.source).toBe("onnx:if/Relu");
    expect(expression(await importGraph({ graph: { ...graph, initializer: [flag("c", false)] } }))).toBe(
      "abs(neg(x))",
    );
  });

  test("a condition computed from constants is known", async () => {
    const computed = {
      ...graph,
      initializer: [ints("one", 1), ints("two", 2)],
      node: [node("Equal", ["one", "two"], ["c"]), ...graph.node!],
    };
    expect(expression(await importGraph({ graph: computed }))).toBe("abs(neg(x))");
  });

  test("two outputs may be one initializer of the branch", async () => {
    const taken: GraphFields = { initializer: [ints("w", 7)], output: [{ name: "w" }, { name: "w" }] };
    const branches = [graphAttribute("then_branch", taken), graphAttribute("else_branch", taken)];
    const { outputs } = await importGraph({
      graph: {
        initializer: [flag("c", true)],
        node: [node("If", ["c"], ["a", "b"], branches)],
        output: [{ name: "a" }, { name: "b" }],
      },
    });
    expect(outputs.map(({ value: { def } }) => def.kind === "const" && def.data.inline?.data[0])).toEqual([
      7, 7,
    ]);
  });

  test("a condition that depends on an input is not", async () => {
    const open = { ...graph, input: [x, value("c", bool, [])] };
    expect(await codes({ graph: open })).toEqual(["needs-constant-input c"]);
    const bound = await importGraph({ graph: open }, { constants: { c: tensor("bool", [], [1]) } });
    expect(expression(bound)).toBe("relu(neg(x))");
  });
});

describe("what is wrong is reported at once", () => {
  test("unsupported ops once each, with their nodes; what depends on them is not mentioned", async () => {
    const many = Array.from({ length: 7 }, (_, i) =>
      node("Foo", ["x"], [`f${i}`], [], { domain: "acme", name: `foo${i}` }),
    );
    const graph = {
      input: [x],
      node: [
        ...many,
        node("Loop", ["x"], ["l"]),
        node("Softmax", ["x"], ["s"], [attribute("axis", 7)], { name: "soft" }),
        node("Add", ["x", "nobody"], ["a"], [], { name: "add" }),
        node("Relu", [], ["r"], [], { name: "relu" }),
        node("MatMul", ["x", "x"], ["m"], [], { name: "mm" }),
        node("Sum", ["f6", "l", "s", "a"], ["y"]),
      ],
      output: [
        y,
        ...many.map(({ output }) => ({ name: output![0]! })),
        { name: "r" },
        { name: "m" },
        { name: "gone" },
      ],
    };
    const faults = await faultsOf({ graph: { ...graph, input: [value("x", float, [3, 4])] } });
    expect(faults.map(({ code, at }) => `${code} ${at}`)).toEqual([
      "onnx-unsupported-op foo0, foo1, foo2, foo3, foo4 and 2 more (7 in all)",
      "onnx-unsupported-op Loop#7",
      "onnx-unsupported soft",
      "onnx-undefined-value add",
      "onnx-missing-input relu",
      "onnx-invalid-node mm",
      "onnx-undefined-output gone",
    ]);
    expect(faults[0]?.message).toContain("acme::Foo");
  });

  test("nodes that no output depends on do not matter", async () => {
    const graph = { input: [x], node: [node("Foo", ["x"], ["z"]), node("Relu", ["x"], ["y"])], output: [y] };
    expect(await codes({ graph })).toEqual([]);
  });

  test("nodes out of order", async () => {
    const graph = { input: [x], node: [node("Relu", ["t"], ["y"]), node("Relu", ["x"], ["t"])], output: [y] };
    expect(await codes({ graph })).toEqual(["onnx-undefined-value Relu#0"]);
  });

  test("missing external data, once for all tensors", async () => {
    const outside = (name: string) => ({
      name,
      dataType: float,
      dims: [4],
      dataLocation: 1,
      externalData: [{ key: "location", value: "w.bin" }],
    });
    const graph = {
      input: [x],
      initializer: [outside("w"), outside("v"), outside("unused")],
      node: [node("Add", ["x", "w"], ["t"]), node("Mul", ["t", "v"], ["y"])],
      output: [y],
    };
    expect(await codes({ graph })).toEqual(["onnx-external-missing w, v"]);
  });
});

test("text files beside the model tell what is known of it", async () => {
  const graph = { input: [x], node: [node("Relu", ["x"], ["y"])], output: [y] };
  const json = (fields: object) => new TextEncoder().encode(JSON.stringify(fields));
  const files = memoryFiles("folder", {
    "generation_config.json": json({ eos_token_id: [2, 5] }),
    "config.json": json({ max_position_embeddings: 64 }),
  });
  const { info } = await importOnnx(modelSource({ graph }), files, coreOps);
  expect(info).toMatchObject({ frontend: "onnx", eosIds: [2, 5], maxPositions: 64 });
  expect((await importOnnx(modelSource({ graph }), undefined, coreOps)).info.eosIds).toEqual([]);
});
