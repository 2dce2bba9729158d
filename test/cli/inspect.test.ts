import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { viewProgram } from "../../src/cli/inspect/program-view.ts";
import { BitnetcError } from "../../src/errors.ts";
import { writeDelegate } from "../../src/serialize/delegate-writer.ts";
import { sha256Hex as sha256 } from "../../src/tensor/sha256.ts";
import { bytesSource } from "../../src/tensor/source.ts";
import { toJson } from "../serialize/flatc.ts";
import { writeKernelSample } from "../serialize/kernel-sample.ts";
import { sampleContents, sampleData, sampleGraph, writeSample } from "../serialize/sample.ts";
import { samplePlan } from "../serialize/sample-plan.ts";
import { stockProgram, vulkanBlob, vulkanConstants, vulkanGraph } from "../serialize/stock-program.ts";
import { runCli, temporaryFolder } from "./run-cli.ts";

const folder = temporaryFolder();
afterAll(() => folder.remove());

function write(name: string, bytes: Uint8Array): string {
  writeFileSync(folder.file(name), bytes);
  return folder.file(name);
}

async function inspect(...args: string[]): Promise<{ readonly out: string; readonly err: string }> {
  const { code, out, err } = await runCli("inspect", ...args);
  expect(code, err).toBe(0);
  return { out, err };
}

const inspectJson = async (...args: string[]) => JSON.parse((await inspect(...args, "--json")).out);

const tensor = (value: object) => ({
  val_type: "Tensor",
  val: { scalar_type: "FLOAT", sizes: [2, 3], dim_order: [0, 1], ...value },
});
const int = (value: number) => ({ val_type: "Int", val: { int_val: value } });
const kernel = (op_index: number, args: number[]) => ({
  instr_args_type: "KernelCall",
  instr_args: { op_index, args },
});

/** y = (x + w) * (x + w), and a size of it. */
const portablePlan = {
  name: "forward",
  values: [
    tensor({ allocation_info: { memory_id: 1 }, shape_dynamism: "DYNAMIC_BOUND" }),
    tensor({ data_buffer_idx: 1, extra_tensor_info: { fully_qualified_name: "w" } }),
    int(1),
    tensor({ allocation_info: { memory_id: 1, memory_offset_low: 32 } }),
    tensor({ data_buffer_idx: 1, allocation_info: { memory_id: 2, memory_offset_low: 0 } }),
    int(0),
    { val_type: "IntList", val: { items: [2, 5] } },
    { val_type: "Null", val: {} },
    { val_type: "OptionalTensorList", val: { items: [3, -1] } },
  ],
  inputs: [0],
  outputs: [4],
  chains: [
    {
      instructions: [
        kernel(0, [0, 1, 2, 3, 3]),
        kernel(1, [3, 3, 4, 4]),
        kernel(2, [4, 2, 5]),
        kernel(3, [4, 6, 7, 8, 3, 3]),
        { instr_args_type: "MoveCall", instr_args: { move_from: 4, move_to: 3 } },
        { instr_args_type: "JumpFalseCall", instr_args: { cond_value_index: 5, destination_instruction: 6 } },
        { instr_args_type: "FreeCall", instr_args: { value_index: 3 } },
      ],
    },
  ],
  operators: [
    { name: "aten::add", overload: "out" },
    { name: "aten::mul", overload: "out" },
    { name: "aten::sym_size", overload: "int" },
    { name: "test::list" },
  ],
  delegates: [],
  non_const_buffer_sizes: [0, 64, 24],
};

const constants = new Uint8Array(new Float32Array([1, 2, 3, 4, 5, 6]).buffer);
const portable = (plan: object = portablePlan, data = constants) =>
  stockProgram(
    {
      execution_plan: [plan],
      constant_segment: { segment_index: 0, offsets: [0, 0] },
      mutable_data_segments: [{ segment_index: 0, offsets: [0, 0] }],
    },
    [data],
  );

const weight = new Uint8Array(2048).fill(3);
const delegatePlan = {
  name: "forward",
  values: [tensor({ sizes: [1, 64] }), tensor({ sizes: [2, 64] }), int(5)],
  inputs: [0, 2],
  outputs: [1],
  chains: [
    {
      instructions: [
        { instr_args_type: "DelegateCall", instr_args: { delegate_index: 0, args: [0, 2, 1] } },
        { instr_args_type: "DelegateCall", instr_args: { delegate_index: 1, args: [1, 1] } },
      ],
    },
  ],
  operators: [],
  delegates: [
    {
      id: "VulkanBackend",
      processed: { location: "SEGMENT", index: 0 },
      compile_specs: [{ key: "storage_type_override", value: [0, 0, 0, 0] }],
    },
    { id: "XnnpackBackend", processed: { location: "INLINE", index: 0 }, compile_specs: [] },
  ],
  non_const_buffer_sizes: [0, 0],
};
const delegated = (blob = vulkanBlob(vulkanGraph, vulkanConstants), data = weight) =>
  stockProgram(
    {
      execution_plan: [
        delegatePlan,
        { ...delegatePlan, name: "decode" },
        {
          name: "get_max_seq_len",
          values: [int(128)],
          inputs: [],
          outputs: [0],
          chains: [{}],
          non_const_buffer_sizes: [0],
        },
      ],
      backend_delegate_data: [{ data: [1, 2, 3] }],
      named_data: [
        { key: "weight", segment_index: 1 },
        { key: "alias", segment_index: 1 },
      ],
    },
    [blob, data],
  );

describe("inspect of a program that calls kernels", () => {
  const path = () => write("portable.pte", portable());

  test("lists values, instructions, memory and constants", async () => {
    const { out } = await inspect(path());
    expect(out).toContain("forward  (float [<=2, <=3]) -> float [2, 3]; kernels: 1 aten::add.out");
    expect(out).toContain("%0 = Tensor float [<=2, <=3], input 0, buffer 1 at 0\n");
    expect(out).toContain("%1 = Tensor w: float [2, 3], constant 1\n");
    expect(out).toContain("%4 = Tensor float [2, 3], output 0, buffer 2 at 0, initially 1\n");
    expect(out).toContain("%6 = IntList [%2, %5]\n");
    expect(out).toContain("0: aten::add.out(%0, %1, 1, %3, %3)\n");
    // What a kernel writes is no constant.
    expect(out).toContain("2: aten::sym_size.int(%4, 1, %5)\n");
    expect(out).toContain("3: test::list(%4, [1, %5], null, [%3, none], %3, %3)\n");
    expect(out).toMatch(/4: move %4 to %3\n +5: jump to 6 unless %5\n +6: free %3\n/);
    expect(out).toMatch(
      /planned buffer 1: 64 bytes, 2 tensors\n +at 0: %0, 24 bytes\n +at 32: %3, 24 bytes\n/,
    );
    expect(out).toContain("1  constant, segment 0 at 0, 24 bytes, %1 of forward\n");
    expect(out).toContain("1  mutable, segment 0 at 0, 24 bytes, %4 of forward\n");
  });

  test("gives the tables as flatc prints them", async () => {
    const json = await inspectJson(path());
    expect(json.program).toEqual(toJson("program", portable()));
    expect(json.memory).toEqual([
      {
        method: "forward",
        buffers: [
          {
            memory: 1,
            bytes: 64,
            device: "CPU",
            tensors: [
              { value: 0, offset: 0, bytes: 24 },
              { value: 3, offset: 32, bytes: 24 },
            ],
          },
          { memory: 2, bytes: 24, device: "CPU", tensors: [{ value: 4, offset: 0, bytes: 24 }] },
        ],
      },
    ]);
    expect(json.constantData).toEqual([
      {
        index: 1,
        kind: "constant",
        segment: 0,
        offset: 0,
        bytes: 24,
        tensors: [{ method: "forward", value: 1 }],
      },
      {
        index: 1,
        kind: "mutable",
        segment: 0,
        offset: 0,
        bytes: 24,
        tensors: [{ method: "forward", value: 4 }],
      },
    ]);
  });

  test("cuts long lists, and shows them with --verbose", async () => {
    const values = Array.from({ length: 50 }, (_, i) => int(i));
    const long = write(
      "long.pte",
      portable({ ...portablePlan, values: [...portablePlan.values, ...values] }),
    );
    expect((await inspect(long)).out).toContain("… 39 more (--verbose shows them)\n");
    const { out } = await inspect(long, "--verbose");
    expect(out).toContain("%58 = Int 49\n");
    expect(out).not.toContain("more (");
  });

  test("gives a terminal no commands", async () => {
    const name = "for\u001b[2Jward\n";
    const { out } = await inspect(write("escape.pte", portable({ ...portablePlan, name })));
    expect(out).toContain("method for\\u001b[2Jward\\u000a\n");
    expect(out).not.toMatch(/[^\P{Cc}\n]/u);
  });

  const broken: Readonly<Record<string, readonly [Uint8Array, RegExp]>> = {
    "beyond the planned buffer": [
      portable({ ...portablePlan, non_const_buffer_sizes: [0, 55, 24] }),
      /value 3 of forward ends at 56 of the 55 bytes of buffer 1/,
    ],
    "in a buffer that is not there": [
      portable({ ...portablePlan, non_const_buffer_sizes: [0, 64] }),
      /0 bytes of buffer 2/,
    ],
    "beyond the constant segment": [portable(portablePlan, constants.slice(1)), /ends at 24 of the 23 bytes/],
    "of a constant that is not there": [
      portable({ ...portablePlan, values: [...portablePlan.values, tensor({ data_buffer_idx: 2 })] }),
      /the constant data 2 of 2/,
    ],
  };
  for (const [where, [bytes, message]] of Object.entries(broken)) {
    test(`refuses a tensor ${where}`, async () => {
      const { code, err } = await runCli("inspect", write("broken.pte", bytes));
      expect(code).toBe(1);
      expect(err).toMatch(/^error\[program-corrupt\]/);
      expect(err).toMatch(message);
    });
  }

  test("opens one without a header, and constants in the flatbuffer", async () => {
    const plain = stockProgram({
      execution_plan: [{ ...portablePlan, values: portablePlan.values.with(4, tensor({})) }],
      constant_buffer: [{ storage: [] }, { storage: [...constants] }],
    });
    const { out } = await inspect(write("plain.pte", plain));
    expect(out).toContain("header    none\n");
    expect(out).toMatch(/inline constants\n +0 +0 bytes\n +1 +24 bytes\n/);
    expect((await inspectJson(folder.file("plain.pte"))).program).toEqual(toJson("program", plain));
  });
});

describe("inspect of a program with delegates", () => {
  const path = () => write("delegated.pte", delegated());

  test("lists a Vulkan graph, and others by id and size", async () => {
    const { out, err } = await inspect(path(), "--verbose");
    expect(err).toBe("");
    expect(out).toContain("XnnpackBackend  of decode, 3 bytes, inline 0\n");
    expect(out).toContain("of a kind that is not read here\n");
    expect(out).toContain("storage_type_override  0x00000000\n");
    expect(out).toContain("0: delegate 0 VulkanBackend(%0, 5, %1)\n");
    expect(out).toContain("%0 = float32 [1, 64] buffer width_packed, input 0\n");
    expect(out).toContain("%1 = const uint8 [64, 32] buffer width_packed, data weight\n");
    expect(out).toContain("%2 = const float32 [64] texture_3d width_packed, bytes at 16\n");
    expect(out).toContain("%5 = float32 [1, 64] buffer width_packed in memory 0\n");
    expect(out).toContain("%13 = SymInt, input 1\n");
    expect(out).toContain("et_vk.linear_q4gsw.default(%0, %1, %2, 64, null, %5)\n");
    expect(out).toContain(
      'test.everything(true, [-1, 9007199254740992], [0.5, 2.0], [true, false], "tanh", %13)\n',
    );
    expect(out).toContain("aten.cat.default([%0, %5], null, %14)\n");
    expect(out).toContain(`weight  2.00 KiB, SHA-256 ${sha256(weight)}\n`);
    expect(out).toMatch(/constant methods\n +get_max_seq_len +128\n/);
  });

  test("gives the tables and the graph as flatc prints them", async () => {
    const json = await inspectJson(path());
    expect(json.program).toEqual(toJson("program", delegated()));
    const blob = vulkanBlob(vulkanGraph);
    expect(
      json.delegates.map(({ id, method }: { id: string; method: string }) => `${id} of ${method}`),
    ).toEqual([
      "VulkanBackend of forward",
      "XnnpackBackend of forward",
      "VulkanBackend of decode",
      "XnnpackBackend of decode",
    ]);
    expect(json.delegates[0]).toMatchObject({
      location: "SEGMENT",
      header: { graphOffset: 32, constantsSize: 272 },
      ops: { "aten.cat.default": 1, "et_vk.linear_q4gsw.default": 1 },
    });
    const flatbuffer = blob.subarray(32, 32 + new DataView(blob.buffer).getUint32(14, true));
    expect(json.delegates[0].graph).toEqual(toJson("vulkan", flatbuffer));
    expect(json.delegates[1]).toEqual({
      id: "XnnpackBackend",
      method: "forward",
      location: "INLINE",
      index: 0,
      specs: [],
      bytes: 3,
    });
    expect(json.namedData).toEqual(
      ["weight", "alias"].map((key) => ({ key, bytes: 2048, sha256: sha256(weight) })),
    );
    expect(json.warnings).toEqual([]);
  });

  test("shows the rest where a Vulkan graph cannot be read", async () => {
    const blob = vulkanBlob(vulkanGraph);
    blob[36] = 0;
    const file = write("odd.pte", delegated(blob));
    const { out, err } = await inspect(file);
    expect(out).toContain(
      'not readable: The blob of the Vulkan delegate cannot be read: its graph is not marked "VK00".\n',
    );
    expect(out).toContain("0: delegate 0 VulkanBackend(%0, 5, %1)\n");
    expect(err.match(/^warning\[vulkan-corrupt\]/gm)).toHaveLength(2);
    const json = await inspectJson(file);
    expect(json.warnings).toHaveLength(2);
    expect(json.delegates[0]).toMatchObject({ problem: { code: "vulkan-corrupt", severity: "warning" } });
    expect(json.delegates[0].graph).toBeUndefined();
    expect(json.program).toEqual(toJson("program", delegated(blob)));
  });

  test("lists a graph of our own in the form of the IR's text", async () => {
    const { bytes } = await writeSample();
    const { out } = await inspect(write("own.pte", bytes), "--verbose");
    expect(out).toContain("symbol seq 1..64\n");
    expect(out).toContain('%0 = input "tokens" : i64[1, seq]\n');
    expect(out).toContain('%1 = input "start_pos" = [past len] : i64[1]\n');
    expect(out).toContain('%2 = state "past_key_values.0.key" : f16[1, 2, 1024, 64]\n');
    expect(out).toContain('%3 = const @"weight.0" : tq2_0[256, 256]\n');
    expect(out).toContain("%4 = const f32[2] {0.5, -2}\n");
    expect(out).toMatch(
      /%6 = nn\.linear\(x: %2, weight: %3, rest: \[%4, %5, %7\], none: \[\]\) \{"eps":0\.000001,.* {2}# model\.layers\.0\n/,
    );
    expect(out).toContain('output "logits" %6\n');
    const json = await inspectJson(folder.file("own.pte"));
    expect(json.program).toEqual(toJson("program", bytes));
    expect(json.delegates[0].graph.nodes[0].op).toBe("nn.linear");
    expect(json.delegates[0].graph.blobs).toHaveLength(6);
  });
});

describe("of a program for GPUs", () => {
  const build = (blobs: Parameters<typeof writeDelegate>[1]) => writeDelegate(sampleGraph, blobs, samplePlan);
  const contents = sampleContents();

  test("shows the plan", async () => {
    const { bytes } = await writeSample({ ...contents, delegate: { ...contents.delegate, build } });
    const path = write("plan.pte", bytes);
    const { out } = await inspect(path);
    expect(out).toContain("  plan for GPUs\n    shaders: 3 modules, 52 bytes; 3 pipelines\n");
    expect(out).toContain("    weights buffers: 1, 16.3 KiB\n    state buffers: 1, 256.0 KiB\n");
    expect(out).toContain("  buffers of weights, the largest first\n    16.3 KiB of 2 parts\n");
    expect(out).toContain("    needs subgroups, shader-f16, packed_4x8_integer_dot_product, ");
    expect(out).toContain("maxStorageBufferBindingSize 2147483648, __proto__ 3, subgroups of 16\n");
    expect(out).toContain(
      "    schedule decode, seq 1: 3 dispatches; 2 matmul, 1 movement; kernels: 2 ternary-gemv, 1 copy\n",
    );
    expect(out).toContain("    schedule prefill, seq 2..64, past len 0..960: 2 dispatches");
    expect(out).toContain("    greedy: 1 dispatches; 1 sampling; kernels: 1 argmax\n");
    expect(out).toContain("  variant plain\n    needs an adapter that is the CPU\n    arena of 2.00 KiB\n");
    const { delegates } = await inspectJson(path);
    expect(delegates[0].plan).toMatchObject({
      symbols: ["seq", "past len"],
      modules: { count: 3, bytes: 52 },
      buffers: [
        { kind: "weights", bytes: 16640, parts: 2 },
        { kind: "state", name: "past_key_values.0.key", bytes: 262144 },
        { kind: "input", name: "tokens", bytes: 256 },
        { kind: "output", name: "logits", bytes: 4096 },
        { kind: "sampled", bytes: 256 },
        { kind: "candidates", bytes: 320 },
      ],
      variants: [
        {
          name: "subgroups",
          needs: { minSubgroupSize: 16, software: false },
          arenaBytes: 1536,
          schedules: [
            {
              name: "decode",
              when: [{ symbol: "seq", min: 1, max: 1 }],
              dispatches: 3,
              classes: { matmul: 2 },
            },
            { name: "prefill", kernels: { "ternary-gemv": 1, copy: 1 } },
          ],
          greedy: { dispatches: 1 },
          candidates: { kernels: { top: 1 } },
        },
        { name: "plain", greedy: { dispatches: 0 } },
      ],
    });
    expect(delegates[0].plan.variants[1]).not.toHaveProperty("candidates");
    expect(delegates[0].graph.plan.modules).toEqual(samplePlan.modules);
  });

  test("tells what is damaged, and shows the rest", async () => {
    const report = new TextEncoder().encode('{"ops": {"nn.linear": 7}}');
    const { bytes } = await writeSample({
      ...sampleContents({ ...sampleData, "report.json": report }),
      delegate: { ...contents.delegate, build },
    });
    const damaged = async (at: number) => {
      const changed = bytes.slice();
      changed[at]! ^= 1;
      const { out, err } = await inspect(write("damaged.pte", changed));
      return { out, err };
    };
    const vocabulary = Buffer.from(bytes).indexOf("get_vocab_size");
    const head = await damaged(vocabulary);
    expect(head.err).toMatch(/^warning\[program-hash\]: The part program head/);
    expect(head.out).toContain("not readable: The part program head");
    const delegate = await damaged(bytes.length - 1);
    expect(delegate.err).toMatch(/^warning\[program-hash\]: The part BitnetcBackend/);
    const noted = await damaged(Buffer.from(bytes).indexOf(Buffer.from(report)) + 3);
    expect(noted.err).toMatch(/^warning\[program-hash\]: The part report.json/);
    expect(noted.out).toMatch(/ops +1 nn.linear/);
  });
});

test("never crashes, whichever byte of a program is another, or missing", async () => {
  const bytes = delegated();
  const codes = new Set<string>();
  const view = async (data: Uint8Array): Promise<void> => {
    try {
      await viewProgram(bytesSource("model.pte", data));
      codes.add("none");
    } catch (error) {
      if (!(error instanceof BitnetcError)) throw error;
      codes.add(error.code);
    }
  };
  for (let i = 0; i < bytes.length - weight.length; i++) {
    const changed = bytes.slice();
    changed[i]! ^= [1, 0x10, 0x80, 0xff][i % 4]!;
    await view(changed);
    if (i % 5 === 0) await view(bytes.slice(0, i));
  }
  expect([...codes].sort()).toEqual(["none", "program-corrupt", "program-identifier", "program-truncated"]);
});

interface Difference {
  readonly part: string;
  readonly what: string;
  readonly before?: string;
  readonly after?: string;
}

describe("inspect --diff", () => {
  let count = 0;
  async function diff(a: Uint8Array, b: Uint8Array): Promise<readonly Difference[]> {
    const paths = [a, b].map((bytes) => write(`diff-${count++}.pte`, bytes)) as [string, string];
    const json = await inspectJson(paths[0], "--diff", paths[1]);
    expect(json.equal).toBe(json.differences.length === 0);
    return json.differences;
  }
  const within = (differences: readonly Difference[], part: string) =>
    differences.filter((entry) => entry.part === part).map(({ part: _, ...entry }) => entry);

  let own: Uint8Array;
  beforeAll(async () => {
    own = (await writeSample()).bytes;
  });

  test("says that equal programs are", async () => {
    for (const bytes of [portable(), delegated(), own]) expect(await diff(bytes, bytes)).toEqual([]);
    const path = write("same.pte", own);
    expect((await inspect(path, "--diff", path)).out).toMatch(/^- .*\n\+ .*\nThe programs are equal\.\n$/);
  });

  test("aligns instructions though values have other numbers", async () => {
    const { values, chains } = portablePlan;
    const [chain] = chains;
    // A value in front of all others, and one instruction more.
    const shifted = {
      ...portablePlan,
      values: [
        int(77),
        ...values.map((value) =>
          value.val_type.endsWith("List") && "items" in value.val
            ? {
                ...value,
                val: { items: (value.val.items as number[]).map((item) => (item < 0 ? item : item + 1)) },
              }
            : value,
        ),
      ],
      inputs: [1],
      outputs: [5],
      chains: [
        {
          instructions: [
            kernel(0, [1, 2, 3, 4, 4]),
            kernel(1, [4, 4, 5, 5]),
            kernel(1, [5, 5, 5, 5]),
            kernel(2, [5, 3, 6]),
            kernel(3, [5, 7, 8, 9, 4, 4]),
            { instr_args_type: "MoveCall", instr_args: { move_from: 5, move_to: 4 } },
            {
              instr_args_type: "JumpFalseCall",
              instr_args: { cond_value_index: 6, destination_instruction: 7 },
            },
            { instr_args_type: "FreeCall", instr_args: { value_index: 4 } },
          ],
        },
      ],
    };
    expect(chain!.instructions).toHaveLength(7);
    const found = await diff(portable(), portable(shifted));
    expect(within(found, "method forward, values")).toEqual([{ what: "0", after: "%0 = Int 77" }]);
    expect(within(found, "method forward, instructions")).toEqual([
      { what: "2", after: "aten::mul.out(%5, %5, %5, %5)" },
    ]);
  });

  test("finds instructions that take other values", async () => {
    const [chain] = portablePlan.chains;
    const chains = [{ instructions: chain!.instructions.with(1, kernel(1, [3, 0, 4, 4])) }];
    const values = portablePlan.values.with(0, tensor({ allocation_info: { memory_id: 1 } }));
    const found = await diff(
      portable({ ...portablePlan, values }),
      portable({ ...portablePlan, values, chains }),
    );
    expect(within(found, "method forward, instructions")).toEqual([
      { what: "1", before: "aten::mul.out(%3, %3, %4, %4)" },
      { what: "1", after: "aten::mul.out(%3, %0, %4, %4)" },
    ]);
  });

  test("tells what differs in values, memory, operators and constants", async () => {
    const changed = {
      ...portablePlan,
      values: portablePlan.values.with(2, int(2)),
      operators: portablePlan.operators.with(3, { name: "test::other" }),
      non_const_buffer_sizes: [0, 80, 24],
    };
    const found = await diff(
      portable(),
      portable(
        changed,
        constants.map((byte) => byte ^ 1),
      ),
    );
    expect(within(found, "method forward, values")).toEqual([
      { what: "2", before: "%2 = Int 1" },
      { what: "2", after: "%2 = Int 2" },
    ]);
    expect(within(found, "method forward, planned memory")).toEqual([
      { what: "buffer 1", before: "64 bytes", after: "80 bytes" },
    ]);
    expect(within(found, "method forward, operators")).toEqual([
      { what: "test::list", before: "there" },
      { what: "test::other", after: "there" },
    ]);
    expect(within(found, "constants")).toHaveLength(4);
  });

  test("tells what differs in a Vulkan graph and in named data", async () => {
    const [linear, norm, ...rest] = vulkanGraph.chain;
    const graph = { ...vulkanGraph, chain: [linear, norm, { ...norm!, node_id: 9 }, ...rest] };
    const other = vulkanBlob(graph, vulkanConstants);
    const found = await diff(
      delegated(),
      delegated(
        other,
        weight.map((byte) => byte + 1),
      ),
    );
    const part = "delegate VulkanBackend of decode";
    expect(within(found, `${part}, op counts`)).toEqual([
      { what: "et_vk.rms_norm.default", before: "1", after: "2" },
    ]);
    expect(within(found, `${part}, calls`)).toEqual([
      { what: "2", after: "et_vk.rms_norm.default(%5, %2, 0.00001, %5)" },
    ]);
    expect(within(found, "named data").map(({ what }) => what)).toEqual(["weight", "alias"]);
  });

  test("finds what no list shows", async () => {
    const [linear, ...rest] = vulkanGraph.chain;
    const other = vulkanBlob(
      { ...vulkanGraph, chain: [{ ...linear!, node_id: 7 }, ...rest] },
      vulkanConstants,
    );
    const found = await diff(delegated(), delegated(other));
    expect(within(found, "delegate VulkanBackend of forward")).toEqual([
      { what: "chain.0.node_id", after: "7" },
    ]);
    const renamed = (name: string) =>
      portable({
        ...portablePlan,
        chains: [{ ...portablePlan.chains[0]!, stacktrace: [{ items: [{ name }] }] }],
      });
    expect(await diff(renamed("f"), renamed("g"))).toEqual([
      {
        part: "program",
        what: "execution_plan.0.chains.0.stacktrace.0.items.0.name",
        before: '"f"',
        after: '"g"',
      },
    ]);
  });

  test("compares graphs of our own by their nodes", async () => {
    const contents = sampleContents();
    const [node] = sampleGraph.nodes;
    const nodes = [{ ...node!, attrs: { ...node!.attrs, causal: false } }];
    const delegate = {
      ...contents.delegate,
      build: (blobs: Parameters<typeof writeDelegate>[1]) => writeDelegate({ ...sampleGraph, nodes }, blobs),
    };
    const found = await diff(own, (await writeSample({ ...contents, delegate })).bytes);
    const calls = within(found, "delegate BitnetcBackend of forward, calls");
    expect(
      calls.map(({ what, before, after }) => [what, /"causal":(\w+)/.exec(before ?? after!)![1]]),
    ).toEqual([
      ["0", "true"],
      ["0", "false"],
    ]);
  });

  test("tells methods that only one program has, as text too", async () => {
    const one = write("one.pte", portable());
    const two = write("two.pte", delegated());
    const { out } = await inspect(one, "--diff", two);
    expect(out).toMatch(
      /methods: 3 differences\n {2}- forward: .*\n {2}\+ forward: .*\n {2}\+ decode: .*\n {2}\+ get_max_seq_len: 128\n/,
    );
  });

  test("compares programs only", async () => {
    const path = write("a.pte", portable());
    const { code, err } = await runCli("inspect", path, "--diff", "model.onnx");
    expect(code).toBe(2);
    expect(err).toContain("--diff compares two programs, and model.onnx is none.");
    expect((await runCli("inspect", path, "--diff", folder.file("none.pte"))).code).toBe(1);
  });
});

test("bytes of a segment within another count once", async () => {
  const { bytes } = await writeKernelSample();
  const { out } = await inspect(write("ranges.pte", bytes));
  const sizes = new Map(
    [...out.matchAll(/^ {2}(\d+) {2}at (\d+), (\d+) bytes$/gm)].map(([, i, at, size]) => [i, [at, size]]),
  );
  expect([sizes.get("0"), sizes.get("1")]).toEqual([
    ["0", "88"],
    ["32", "24"],
  ]);
  // The constants, a text, an addend and three delegates.
  expect(out).toContain(
    `segments  8, ${((88 + 17 + 24 + 3 * Number(sizes.get("5")![1])) / 1024).toFixed(2)} KiB\n`,
  );
});
