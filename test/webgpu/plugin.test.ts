import { expect, test } from "vitest";
import { compile } from "../../src/compiler/compile.ts";
import {
  ceilDivide,
  type Dim,
  defineGpuKernel,
  definePlugin,
  groupOfOne,
  type NoAttrs,
  type OpSignature,
  shader,
  tensor,
  wgslSize,
} from "../../src/index.ts";
import { nodeGpu } from "../../src/node.ts";
import { open } from "../../src/runtime/index.ts";
import { memorySink } from "../../src/serialize/sink.ts";
import { bytesSource } from "../../src/tensor/source.ts";
import { modelBytes, node, onnx, value } from "../onnx/build-model.ts";

declare module "../../src/ir/ops/index.ts" {
  interface Ops {
    readonly "test.double": OpSignature<"x", NoAttrs>;
  }
}

const { FLOAT } = onnx.TensorProto.DataType;

const double = defineGpuKernel<{ readonly count: Dim }>({
  name: "test-double",
  doc: "out = 2 · x; x, out value f32 [count].",
  class: "elementwise",
  build: ({ count }, target) =>
    shader(target, {
      bindings: { x: { type: "array<f32>", access: "value" }, out: { type: "array<f32>", access: "value" } },
      workgroupSize: 64,
      workgroups: [ceilDivide(count, 64), 1, 1],
      body: `
  let i = workgroup.x * 64u + local;
  if (i < ${wgslSize(count)}) { out[i] = 2.0 * x[i]; }`,
    }),
});

const plugin = (hasLowering: boolean) =>
  definePlugin({
    name: "test",
    setup(build) {
      build.op("test.double", {
        doc: "2 · x",
        args: ["x"],
        infer: ({ x }) => [x.type],
        kernel: ({ x }) => [
          tensor(
            "f32",
            x.shape,
            Array.from(x.data, (element) => 2 * element),
          ),
        ],
      });
      build.onnxOp("test::Double", (context) => [context.b("test.double", { x: context.input(0) })]);
      if (!hasLowering) return;
      build.lowering({
        name: "test-double",
        doc: "test.double: one dispatch.",
        match(found) {
          if (found.op !== "test.double") return undefined;
          return groupOfOne("test-double", found, (emitter) => {
            const [x, result] = [found.arg("x"), found.results[0]!];
            const bindings = { x: emitter.read(x), out: emitter.define(result) };
            emitter.dispatch(double, { count: emitter.elementCount(x) }, bindings, found);
          });
        },
      });
    },
  });

const model = bytesSource(
  "model.onnx",
  modelBytes({
    graph: {
      input: [value("x", FLOAT, [2, 100])],
      output: [value("y", FLOAT, [2, 100])],
      node: [node("Double", ["x"], ["twice"], [], { domain: "test" }), node("Neg", ["twice"], ["y"])],
    },
    opsets: { "": 20, test: 1 },
  }),
);

test("a plugin's kernel is in the plan, and the program runs without the plugin", async () => {
  const sink = memorySink();
  const { report } = await compile({ model }, sink, { plugins: [plugin(true)] });
  expect(report.partition).toEqual({ groups: { elementwise: 1, "test-double": 1 }, refused: [] });
  await using session = await open(sink.bytes(), { device: "webgpu", gpu: nodeGpu });
  const elements = Array.from({ length: 200 }, (_, i) => i - 50.5);
  const { y } = await session.run({ x: tensor("f32", [2, 100], elements) });
  expect(Array.from(y!.data)).toEqual(elements.map((element) => -2 * element));
});

test("without one the node is refused, and there is no plan", async () => {
  const sink = memorySink();
  const { report } = await compile({ model }, sink, { plugins: [plugin(false)] });
  expect(report.partition?.refused).toMatchObject([{ op: "test.double" }]);
  await expect(open(sink.bytes(), { device: "webgpu", gpu: nodeGpu })).rejects.toMatchObject({
    code: "device-unavailable",
  });
});
