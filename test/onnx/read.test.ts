import { describe, expect, test } from "vitest";
import { BitnetcError } from "../../src/errors.ts";
import { readOnnxModel } from "../../src/frontend/onnx/read.ts";
import { readWeight } from "../../src/ir/weights.ts";
import { bytesSource } from "../../src/tensor/source.ts";
import {
  attribute,
  encodeField,
  graphAttribute,
  modelBytes,
  modelSource,
  node,
  onnx,
  rawTensor,
  reference,
  tensorAttribute,
  value,
} from "./build-model.ts";

const utf8 = new TextEncoder();

describe("readOnnxModel", () => {
  test("the model's own fields", async () => {
    const model = await readOnnxModel(
      modelSource({ graph: { name: "g" }, opsets: { "ai.onnx": 21, custom: 2 } }),
    );
    expect(model).toMatchObject({ irVersion: 8, producer: "test 1", graph: { name: "g" } });
    expect([...model.opsets]).toEqual([
      ["", 21],
      ["custom", 2],
    ]);
  });

  test("inputs: sizes, names, unknown sizes, unknown rank, other types", async () => {
    const input = [
      value("x", 1, [1, "seq", undefined, -1]),
      value("y", 7),
      { name: "s", type: { sequenceType: { elemType: {} } } },
      { name: "nothing" },
    ];
    const { graph } = await readOnnxModel(modelSource({ graph: { input } }));
    expect(graph.inputs).toEqual([
      { name: "x", type: { dataType: 1, shape: [1, "seq", undefined, undefined] } },
      { name: "y", type: { dataType: 7, shape: undefined } },
      { name: "s", type: "sequence" },
      { name: "nothing", type: undefined },
    ]);
  });

  test("nodes with attributes of every kind", async () => {
    const big = new Float32Array(100_000).fill(2);
    const nodes = [
      node(
        "A",
        ["x", ""],
        ["y"],
        [attribute("i", -3), attribute("f", 0.5), attribute("s", "é"), attribute("l", [1, -2])],
      ),
      node("Constant", [], ["c"], [tensorAttribute("value", rawTensor("", 1, [1000, 100], big))], {
        domain: "ai.onnx",
        name: "n",
      }),
      node("If", ["c"], ["z"], [graphAttribute("then_branch", { node: [node("B", [], ["o"])] })]),
      node("C", [], [], [reference("axis", "outer", 2), { name: "old", i: 5 }]),
    ];
    const { graph } = await readOnnxModel(modelSource({ graph: { node: nodes } }));
    const [a, constant, branch, c] = graph.nodes;
    expect(a?.inputs).toEqual(["x", ""]);
    expect(Object.fromEntries(a!.attributes)).toEqual({
      i: { kind: "number", value: -3 },
      f: { kind: "number", value: 0.5 },
      s: { kind: "string", value: "é" },
      l: { kind: "numbers", value: [1, -2] },
    });
    expect(constant).toMatchObject({ domain: "", name: "n" });
    const tensor = constant?.attributes.get("value");
    const weight = tensor?.kind === "tensor" ? await tensor.value.weight() : undefined;
    expect(weight?.inline).toBeUndefined();
    expect((await readWeight(weight!)).data.at(-1)).toBe(2);
    expect(branch?.attributes.get("then_branch")).toMatchObject({
      kind: "graph",
      value: { nodes: [{ opType: "B" }] },
    });
    expect(c?.attributes.get("axis")).toEqual({ kind: "reference", name: "outer" });
    // Written before attributes had a type.
    expect(c?.attributes.get("old")).toEqual({ kind: "number", value: 5 });
  });

  test("fields newer than the schema's package: overload, default attributes of functions", async () => {
    const call = Uint8Array.from([
      ...onnx.NodeProto.encode(node("F", ["x"], ["y"])).finish(),
      ...encodeField(8, utf8.encode("wide")),
    ]);
    const fn = Uint8Array.from([
      ...onnx.FunctionProto.encode({ name: "F", domain: "d", input: ["a"], output: ["b"] }).finish(),
      ...encodeField(11, onnx.AttributeProto.encode(attribute("alpha", 0.25)).finish()),
      ...encodeField(13, utf8.encode("wide")),
    ]);
    const bytes = Uint8Array.from([...encodeField(7, encodeField(1, call)), ...encodeField(25, fn)]);
    const model = await readOnnxModel(bytesSource("m", bytes));
    expect(model.graph.nodes[0]).toMatchObject({ opType: "F", overload: "wide", inputs: ["x"] });
    expect(model.functions[0]).toMatchObject({ name: "F", overload: "wide", outputs: ["b"] });
    expect(model.functions[0]?.defaults.get("alpha")).toEqual({ kind: "number", value: 0.25 });
  });

  test("a file cut anywhere, or no model at all, is one sentence", async () => {
    const graph = {
      node: [node("Add", ["x", "w"], ["y"], [attribute("a", [1, 2])])],
      initializer: [rawTensor("w", 1, [100], new Float32Array(100))],
      input: [value("x", 1, ["n"])],
    };
    const bytes = modelBytes({ graph });
    const codes = new Set<string>();
    for (let length = 0; length < bytes.length; length++)
      codes.add(await errorCode(bytes.subarray(0, length)));
    codes.delete("no error"); // Cut after the graph, only the operator sets are missing.
    expect([...codes].sort()).toEqual(["file-truncated", "onnx-no-graph"]);
    for (let i = 0; i < bytes.length; i++) {
      const damaged = bytes.slice();
      damaged[i]! ^= 0xff;
      await errorCode(damaged);
    }
    expect(await errorCode(utf8.encode("This is a text and no model at all."))).toBe("onnx-corrupt");
  });
});

/** The code of the error that reading ends with. @throws whatever is not an error for the user */
async function errorCode(bytes: Uint8Array): Promise<string> {
  try {
    await readOnnxModel(bytesSource("m.onnx", bytes));
    return "no error";
  } catch (error) {
    if (!(error instanceof BitnetcError)) throw error;
    return error.code;
  }
}
