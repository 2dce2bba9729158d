import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BitnetcError } from "../../src/errors.ts";
import { open, type Session } from "../../src/runtime/index.ts";
import { openPortable } from "../../src/runtime/portable.ts";
import type { ProgramMethod, ProgramTables } from "../../src/serialize/program.ts";
import { bytesSource } from "../../src/tensor/source.ts";
import { type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { PortableProgram } from "./portable-program.ts";

const f32 = (shape: readonly number[], ...data: number[]): Tensor => tensor("f32", shape, data);
const i64 = (shape: readonly number[], ...data: number[]): Tensor => tensor("i64", shape, data);
const onCpu = (bytes: Uint8Array): Promise<Session> => open(bytes, { device: "cpu", portable: openPortable });
const elements = (value: Tensor | undefined) => [...value!.data];

const problemOf = async (work: () => Promise<unknown>): Promise<BitnetcError> => {
  const problem = await work().then(
    () => undefined,
    (error) => error,
  );
  if (!(problem instanceof BitnetcError)) throw problem ?? new Error("nothing was thrown");
  return problem;
};

/** Changes the method of a program that is written. */
const inForward =
  (change: (method: ProgramMethod) => ProgramMethod) =>
  (tables: ProgramTables): ProgramTables => ({
    ...tables,
    methods: [change(tables.methods[0]!), ...tables.methods.slice(1)],
  });

const vocabSize = 7;
const capacity = 12;
const callSize = 4;

/** A language model whose next token is the sum of all tokens so far, modulo the vocabulary: logits are -|id - it|. */
function sumModel({
  named = true,
  ...options
}: Parameters<PortableProgram["build"]>[2] & { named?: boolean } = {}) {
  const p = new PortableProgram();
  const name = (text: string) => (named ? { name: text } : {});
  const dynamic = { isDynamic: true };
  const tokens = p.planned("i64", [1, callSize], { ...dynamic, ...name("tokens") });
  const startPos = p.planned("i64", [1], name("start_pos"));
  const cache = p.planned("f32", [1, 1, capacity, 1], { memory: 2, ...name("kv.0.key") });
  const sameCache = p.planned("f32", [1, capacity, 1], { memory: 2, offset: 0 });
  const [length, start, end] = [p.int(0), p.int(0), p.int(0)];
  p.call("aten::sym_size.int", tokens, p.int(1), length);
  p.call("aten::_local_scalar_dense", startPos, start);
  p.call("executorch_prim::add.Scalar", start, length, end);
  const positions = p.planned("i64", [callSize], dynamic);
  p.out("aten::arange.start_out", start, end, p.int(1), positions);
  const floats = p.planned("f32", [1, callSize], dynamic);
  p.out("aten::_to_copy.out", tokens, p.bool(false), p.none(), floats);
  const rows = p.planned("f32", [1, callSize, 1], dynamic);
  p.out("aten::view_copy.out", floats, p.list("IntList", p.int(1), length, p.int(-1)), rows);
  const index = p.list("OptionalTensorList", -1, positions);
  p.call("aten::index_put_", sameCache, index, rows, p.bool(false), sameCache);
  const seen = p.planned("f32", [1, 1, capacity, 1], dynamic);
  p.out("aten::slice_copy.Tensor_out", cache, p.int(2), p.none(), end, p.int(1), seen);
  const sum = p.planned("f32", [1, 1]);
  p.out("aten::sum.IntList_out", seen, p.ints(1, 2), p.bool(false), p.none(), sum);
  const quotient = p.planned("f32", [1, 1]);
  p.out("aten::div.Scalar_out", sum, p.int(vocabSize), quotient);
  const whole = p.planned("f32", [1, 1]);
  p.out("aten::floor.out", quotient, whole);
  // What is not needed any more gives its place away.
  const multiple = p.planned("f32", [1, 1], { offset: 64 });
  p.out("aten::mul.Scalar_out", whole, p.int(vocabSize), multiple);
  const next = p.planned("f32", [1, 1]);
  p.out("aten::sub.out", sum, multiple, p.int(1), next);
  const distances = p.planned("f32", [1, vocabSize]);
  const ids = p.constant(f32([vocabSize], ...Array(vocabSize).keys()));
  p.out("aten::sub.out", ids, next, p.int(1), distances);
  p.out("aten::abs.out", distances, distances);
  const logits = p.planned("f32", [1, vocabSize], name("logits"));
  p.out("aten::neg.out", distances, logits);
  return p.build([tokens, startPos], [logits], {
    constantMethods: { get_max_seq_len: capacity, get_eos_ids: [6], get_bos_id: 1 },
    ...options,
  });
}

async function generated(session: Session, ids: readonly number[], maxTokens = 5): Promise<number[]> {
  const made: number[] = [];
  for await (const { id } of session.generate({ ids }, { maxNewTokens: maxTokens, ignoreEos: true }))
    made.push(id);
  return made;
}

describe("a language model", () => {
  test("has the form of one", async () => {
    const session = await onCpu(sumModel());
    expect(session.device).toBe("cpu");
    expect(session.info).toMatchObject({
      inputs: [
        { name: "tokens", dtype: "i64", shape: [1, "s0<=4"] },
        { name: "start_pos", dtype: "i64", shape: [1] },
      ],
      outputs: [{ name: "logits", dtype: "f32", shape: [1, vocabSize] }],
      isLanguageModel: true,
      hasCache: true,
      maxSeqLen: capacity,
      vocabSize,
      bosId: 1,
      eosIds: [6],
    });
  });

  test.each([true, false])("continues token sequences, with names: %s", async (named) => {
    const session = await onCpu(sumModel({ named }));
    // 1 + 2 + 3 + 4 + 5 = 15: more tokens than one call takes
    expect(await generated(session, [1, 2, 3, 4, 5])).toEqual([1, 2, 4, 1, 2]);
    expect(session.kv.length).toBe(9);
    expect(await generated(session, [1, 2, 3], 2)).toEqual([6, 5]);
    expect(session.kv.length).toBe(4);
    session.kv.reset();
    expect(session.kv.length).toBe(0);
    expect(await generated(session, [3], 2)).toEqual([3, 6]);
  });

  test("is measured by its perplexity", async () => {
    const session = await onCpu(sumModel());
    const { perplexity } = await session.perplexity([1, 1, 2, 4, 1, 2], { window: 5 });
    // The next token of each prefix is the likeliest, and the others follow it by their distance.
    let expected = 0;
    for (const likeliest of [1, 2, 4, 1, 2]) {
      let total = 0;
      for (let id = 0; id < vocabSize; id++) total += Math.exp(-Math.abs(id - likeliest));
      expected += Math.log(total) / 5;
    }
    expect(perplexity).toBeCloseTo(Math.exp(expected), 4);
  });

  test.each([true, false])("saves its cache and takes it back, with names: %s", async (named) => {
    const bytes = sumModel({ named });
    const first = await onCpu(bytes);
    await generated(first, [1, 2, 3, 4, 5], 1);
    const snapshot = await first.kv.save();
    const second = await onCpu(bytes);
    await second.kv.restore(snapshot);
    expect(second.kv.length).toBe(5);
    expect(await generated(second, [1, 2, 3, 4, 5, 6], 1)).toEqual([0]);
    const changed = bytes.slice();
    // The last table entry, of the constants at the end of the file.
    changed[changed.length - 128 + 4 * (vocabSize - 1)]! ^= 1;
    for (const other of [changed, sumModel({ named: !named })]) {
      const problem = await problemOf(async () => (await onCpu(other)).kv.restore(snapshot));
      expect(problem.code).toBe("kv-snapshot");
    }
  });

  test("refuses positions that it has no room for", async () => {
    const session = await onCpu(sumModel());
    await session.run({ tokens: i64([1, 4], 1, 1, 1, 1), start_pos: i64([1], 0) });
    const gap = await problemOf(() => session.run({ tokens: i64([1, 1], 1), start_pos: i64([1], 5) }));
    expect(gap.code).toBe("cache-gap");
    const wide = await problemOf(() =>
      session.run({ tokens: i64([1, 5], 1, 1, 1, 1, 1), start_pos: i64([1], 0) }),
    );
    expect(wide.message).toMatch(/program-input.*size 5 on axis 1.*s0 from 1 to 4/);
  });

  test("gives its texts, and reads all data as it is opened", async () => {
    const namedData = { "generation_config.json": new TextEncoder().encode('{"temperature":0.5}') };
    const progress: number[] = [];
    const session = await open(sumModel({ namedData }), {
      portable: openPortable,
      onProgress: ({ loaded, total }) => progress.push(loaded / total),
    });
    expect(session.info.sampling).toEqual({ temperature: 0.5 });
    expect(session.info.deviceNote).toMatch(/no plan for a GPU/);
    expect(progress.at(-1)).toBe(1);
    const refused = await problemOf(() => open(sumModel(), { device: "webgpu", portable: openPortable }));
    expect(refused.code).toBe("device-unavailable");
  });

  test("is refused where nobody opens such programs", async () => {
    const refused = await problemOf(() => open(sumModel(), { device: "cpu" }));
    expect(refused.code).toBe("program-backend");
    expect(refused.diagnostics[0]!.hint).toContain("bitnetc/runtime/portable");
  });

  test("ends when the source does", async () => {
    const bytes = sumModel();
    const cut: Parameters<typeof open>[0] = {
      ...bytesSource("cut.pte", bytes),
      read: async (from, to) => bytes.subarray(from, Math.min(to, bytes.length - 112)),
    };
    expect((await problemOf(() => open(cut, { device: "cpu", portable: openPortable }))).code).toBe(
      "program-truncated",
    );
  });
});

test("a program with damage anywhere in its head runs, or is refused", async () => {
  const bytes = sumModel();
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: bytes.length - 129 }), fc.nat(255), async (at, value) => {
      const damaged = bytes.slice();
      damaged[at] = value;
      const run = async () => {
        const session = await onCpu(damaged);
        await session.run({ tokens: i64([1, 2], 1, 2), start_pos: i64([1], 0) });
      };
      await run().catch((error) => expect(error).toBeInstanceOf(BitnetcError));
    }),
    { numRuns: 400 },
  );
});

describe("memory", () => {
  /** out = (x + 1) · (x + 2), where the sums may share a place. */
  const sharing = (second: number) => {
    const p = new PortableProgram();
    const x = p.planned("f32", [2], { name: "x" });
    const a = p.planned("f32", [2], { offset: 16 });
    const b = p.planned("f32", [2], { offset: second });
    const result = p.planned("f32", [2], { offset: 64 });
    p.out("aten::add.Scalar_out", x, p.int(1), p.int(1), a);
    p.out("aten::add.Scalar_out", x, p.int(2), p.int(1), b);
    p.out("aten::mul.out", a, b, result);
    return onCpu(p.build([x], [result]));
  };

  test("is planned by the program: a plan that is wrong gives wrong results", async () => {
    const x = f32([2], 1, 10);
    expect(elements((await (await sharing(32)).run({ x })).output0)).toEqual([6, 132]);
    expect(elements((await (await sharing(16)).run({ x })).output0)).toEqual([9, 144]);
    expect(elements((await (await sharing(20)).run({ x })).output0)).toEqual([2 * 3, 3 * 12]);
  });

  test("of one tensor may be seen as two types", async () => {
    const p = new PortableProgram();
    const x = p.planned("f32", [2], { name: "x" });
    const bits = p.planned("i32", [2], { offset: 0 });
    expect(elements((await (await onCpu(p.build([x], [bits]))).run({ x: f32([2], 1, -2) })).output0)).toEqual(
      [0x3f800000, -0x40000000],
    );
  });

  test("holds 16-bit floats as such", async () => {
    const p = new PortableProgram();
    const x = p.planned("f32", [3], { name: "x" });
    const half = p.planned("f16", [3]);
    const brain = p.planned("bf16", [3]);
    const [fromHalf, fromBrain] = [p.planned("f32", [3]), p.planned("f32", [3])];
    p.out("aten::_to_copy.out", x, p.bool(false), p.none(), half);
    p.out("aten::_to_copy.out", x, p.bool(false), p.none(), brain);
    p.out("aten::_to_copy.out", half, p.bool(false), p.none(), fromHalf);
    p.out("aten::_to_copy.out", brain, p.bool(false), p.none(), fromBrain);
    const words = p.planned("u16", [3], { offset: 16 });
    const session = await onCpu(p.build([x], [fromHalf, fromBrain, words, half]));
    const outputs = await session.run({ x: f32([3], 1, 1 / 3, -2) });
    expect(elements(outputs.output0)).toEqual([1, 0.333251953125, -2]);
    expect(elements(outputs.output1)).toEqual([1, 0.333984375, -2]);
    expect(elements(outputs.output2)).toEqual([0x3c00, 0x3555, 0xc000]);
    expect(outputs.output3!.dtype).toBe("f16");
  });

  test("keeps what calls leave in it, from its first contents on", async () => {
    const p = new PortableProgram();
    const x = p.planned("f32", [1], { name: "x" });
    const total = p.planned("f32", [1], { memory: 2, initial: f32([1], 100) });
    const index = p.list("OptionalTensorList", p.constant(i64([1], 0)));
    p.call("aten::index_put_", total, index, x, p.bool(true), total);
    const session = await onCpu(p.build([x], [total]));
    const next = async (value: number) => elements((await session.run({ x: f32([1], value) })).output0)[0];
    expect(await next(1)).toBe(101);
    expect(await next(2)).toBe(103);
    session.kv.reset();
    expect(await next(5)).toBe(105);
  });

  test("is the caller's for inputs and outputs that have none", async () => {
    const p = new PortableProgram();
    const x = p.unplanned("i64", [2]);
    const result = p.unplanned("i64", [2]);
    p.out("aten::neg.out", x, result);
    const session = await onCpu(p.build([x], [result]));
    const [first] = [(await session.run({ input0: i64([2], 1, 2) })).output0];
    await session.run({ input0: i64([2], 3, 4) });
    expect(elements(first)).toEqual([-1, -2]);
  });

  test("of a view is that of its base", async () => {
    const p = new PortableProgram();
    const x = p.planned("f32", [2, 2], { name: "x", isDynamic: true });
    const view = p.add({
      ...(p.values[x] as { type: "Tensor" }),
      allocation: undefined,
      extra: undefined,
      sizes: [4],
      dimOrder: [0],
    } as never);
    const negated = p.planned("f32", [4], { isDynamic: true });
    p.call("executorch_prim::et_view.default", x, p.ints(-1), view);
    p.out("aten::neg.out", view, negated);
    const session = await onCpu(p.build([x], [negated]));
    const { output0 } = await session.run({ x: f32([1, 2], 5, 6) });
    expect(output0).toEqual(f32([2], -5, -6));
  });
});

describe("instructions", () => {
  test("jump and move", async () => {
    const p = new PortableProgram();
    const x = p.planned("f32", [1], { name: "x" });
    const isLarge = p.planned("bool", [1]);
    const [large, small, chosen] = [p.int(10), p.int(3), p.int(0)];
    const result = p.planned("f32", [1]);
    p.out("aten::gt.Scalar_out", x, p.int(5), isLarge);
    p.instructions.push({ type: "MoveCall", from: small, to: chosen });
    p.instructions.push({ type: "JumpFalseCall", condition: isLarge, destination: 4 });
    p.instructions.push({ type: "MoveCall", from: large, to: chosen });
    p.instructions.push({ type: "FreeCall", value: isLarge });
    p.out("aten::mul.Scalar_out", x, chosen, result);
    const session = await onCpu(p.build([x], [result]));
    const of = async (value: number) => elements((await session.run({ x: f32([1], value) })).output0)[0];
    expect(await of(4)).toBe(12);
    expect(await of(6)).toBe(60);
    expect(await of(1)).toBe(3);
  });

  test("that do not end are ended", async () => {
    const p = new PortableProgram();
    const never = p.bool(false);
    p.instructions.push({ type: "JumpFalseCall", condition: never, destination: 0 });
    const x = p.planned("f32", [1]);
    const session = await onCpu(p.build([x], [x]));
    expect((await problemOf(() => session.run({ input0: f32([1], 1) }))).message).toMatch(/do not end/);
  });

  test("compute sizes", async () => {
    const p = new PortableProgram();
    const x = p.planned("f32", [6], { name: "x", isDynamic: true });
    const [size, one, half, less, product, most, least] = Array.from({ length: 7 }, () => p.int(0)) as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    p.call("aten::sym_size.int", x, p.int(-1), size);
    p.call("aten::_local_scalar_dense", p.constant(i64([], 1)), one);
    p.call("executorch_prim::floordiv.Scalar", size, p.int(2), half);
    p.call("executorch_prim::sub.Scalar", half, one, less);
    p.call("executorch_prim::mul.Scalar", half, less, product);
    p.call("executorch_prim::sym_max.Scalar", product, size, most);
    p.call("executorch_prim::sym_min.Scalar", product, size, least);
    const result = p.planned("i64", [5]);
    const parts = [half, less, product, most, least].map((value) => {
      const part = p.planned("i64", [1]);
      p.out("aten::full.out", p.ints(1), value, part);
      return part;
    });
    p.out("aten::cat.out", p.list("TensorList", ...parts), p.int(0), result);
    const session = await onCpu(p.build([x], [result]));
    const of = async (count: number) => elements((await session.run({ x: tensor("f32", [count]) })).output0);
    expect(await of(5)).toEqual([2, 1, 2, 5, 2]);
    expect(await of(6)).toEqual([3, 2, 6, 6, 6]);
    expect((await problemOf(() => session.run({ x: tensor("f32", [7]) }))).code).toBe("program-input");
  });

  test("update caches with the extension's operator", async () => {
    const p = new PortableProgram();
    const rows = p.planned("f32", [1, 2, 1, 1], { name: "rows" });
    const cache = p.planned("f32", [1, 4, 1, 1], { memory: 2 });
    const unused = p.planned("f32", [1]);
    p.out("llama::update_cache.out", rows, cache, p.int(1), unused);
    const result = p.planned("f32", [1, 4, 1, 1]);
    p.out("aten::neg.out", cache, result);
    const session = await onCpu(p.build([rows], [result]));
    const { output0 } = await session.run({ rows: f32([1, 2, 1, 1], 5, 6) });
    expect(elements(output0)).toEqual([-0, -5, -6, -0]);
  });

  test("attend over caches with the extension's operator", async () => {
    const p = new PortableProgram();
    const [q, k, v] = ["q", "k", "v"].map((name) =>
      p.planned("f32", [1, 2, 1, 1], { name, isDynamic: true }),
    ) as [number, number, number];
    const start = p.planned("i64", [1], { name: "start" });
    const [keys, values] = [
      p.planned("f32", [1, 3, 1, 1], { memory: 2 }),
      p.planned("f32", [1, 3, 1, 1], { memory: 2 }),
    ];
    const position = p.int(0);
    p.call("aten::_local_scalar_dense", start, position);
    const result = p.planned("f32", [1, 2, 1, 1], { isDynamic: true });
    const rest = [p.int(0), p.none(), p.double(0), p.bool(true), p.none()];
    p.out("llama::sdpa_with_kv_cache.out", q, k, v, keys, values, position, ...rest, result);
    const session = await onCpu(p.build([q, k, v, start], [result]));
    const zeros = f32([1, 2, 1, 1], 0, 0);
    const first = await session.run({ q: zeros, k: zeros, v: f32([1, 2, 1, 1], 4, 8), start: i64([1], 0) });
    expect(first.output0).toEqual(f32([1, 2, 1, 1], 4, 6));
    const one = f32([1, 1, 1, 1], Math.log(2));
    const second = await session.run({
      q: f32([1, 1, 1, 1], 1),
      k: one,
      v: f32([1, 1, 1, 1], 20),
      start: i64([1], 2),
    });
    expect(elements(second.output0)[0]).toBeCloseTo((4 + 8 + 2 * 20) / 4, 5);
    const beyond = { q: one, k: one, v: one, start: i64([1], 3) };
    expect((await problemOf(() => session.run(beyond))).message).toMatch(
      /sdpa_with_kv_cache.*Positions 3 to 3/,
    );
  });
});

describe("refuses", () => {
  test("operators that it does not know, all of them", async () => {
    const p = new PortableProgram();
    const x = p.planned("f32", [1], { name: "x" });
    p.out("acme::first.out", x, x);
    p.out("aten::neg.out", x, x);
    p.call("acme::second", x);
    p.out("acme::first.out", x, x);
    const { diagnostics } = await problemOf(() => onCpu(p.build([x], [x])));
    expect(diagnostics.map(({ code, at }) => [code, at])).toEqual([
      ["operator-missing", "instruction 0 of forward"],
      ["operator-missing", "instruction 2 of forward"],
    ]);
    expect(diagnostics.map(({ message }) => message).join()).toMatch(/acme::first\.out.*acme::second/);
  });

  test("calls that are not as the operator's schema says, all of them", async () => {
    const p = new PortableProgram();
    const x = p.planned("f32", [4], { name: "x" });
    const [y, z] = [p.planned("f32", [4]), p.planned("f32", [4])];
    const constant = p.constant(f32([4], 1, 2, 3, 4));
    const shifted = p.planned("f32", [4], { offset: 4 });
    p.out("aten::add.out", x, x, y);
    p.out("aten::add.out", x, x, p.bool(true), y);
    p.call("aten::neg.out", x, y, z);
    p.call("aten::neg.out", x, y);
    p.out("aten::neg.out", x, constant);
    p.out("aten::neg.out", x, shifted);
    p.out("aten::view_copy.out", x, p.ints(4), x);
    p.out("aten::neg.out", x, x);
    p.out("aten::cat.out", p.list("TensorList", x, y), p.int(0), y);
    p.out("aten::view_copy.out", x, p.list("IntList", p.double(4)), y);
    p.instructions.push({ type: "MoveCall", from: x, to: p.int(1) });
    p.instructions.push({ type: "JumpFalseCall", condition: x, destination: 0 });
    p.instructions.push({ type: "JumpFalseCall", condition: p.bool(true), destination: 99 });
    const { diagnostics } = await problemOf(() => onCpu(p.build([x], [y])));
    expect(diagnostics.map(({ code, message }) => [code, /instruction (\d+)/.exec(message)?.[1]])).toEqual(
      [0, 1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12].map((at) => ["program-corrupt", String(at)]),
    );
    const messages = diagnostics.map(({ message }) => message.replace(/^.*?instruction /, ""));
    expect(messages).toMatchInlineSnapshot(`
      [
        "0 of forward calls aten::add.out with 4 arguments in place of 5.",
        "1 of forward calls aten::add.out with a number expected as argument 2, where Bool is.",
        "2 of forward calls aten::neg.out with a last argument that is not its result.",
        "3 of forward calls aten::neg.out with 2 arguments in place of 3.",
        "4 of forward calls aten::neg.out with a constant as argument 1.",
        "5 of forward calls aten::neg.out with argument 1 written over argument 0.",
        "6 of forward calls aten::view_copy.out with argument 2 written over argument 0.",
        "8 of forward calls aten::cat.out with argument 2 written over argument 0.",
        "9 of forward calls aten::view_copy.out with a list of ints expected as argument 1, where IntList is.",
        "10 of forward moves Tensor to Int.",
        "11 of forward jumps on what is no bool.",
        "12 of forward jumps to 99 of 13.",
      ]
    `);
  });

  const plain = (change?: (tables: ProgramTables) => ProgramTables) => {
    const p = new PortableProgram();
    const x = p.planned("f32", [4], { name: "x" });
    const sum = p.planned("f32", [4]);
    p.out("aten::add.out", x, p.constant(f32([4], 1, 2, 3, 4)), p.int(1), sum);
    return p.build([x], [sum], change && { change });
  };
  const inTensor = (value: number, fields: object) =>
    inForward((method) => ({
      ...method,
      values: method.values.map((each, i) => (i === value ? ({ ...each, ...fields } as never) : each)),
    }));
  const memory = 1;
  test.each<[string, RegExp, (tables: ProgramTables) => ProgramTables]>([
    [
      "a tensor behind its buffer",
      /ends at 40 of the 32 bytes/,
      inTensor(1, { allocation: { memory, offset: 24 } }),
    ],
    ["a buffer that is none", /in the buffer 9/, inTensor(1, { allocation: { memory: 9, offset: 0 } })],
    ["the buffer that is reserved", /in the buffer 0/, inTensor(1, { allocation: { memory: 0, offset: 0 } })],
    ["an odd place", /no multiple of 4/, inTensor(1, { allocation: { memory, offset: 6 } })],
    ["no memory", /tensor 2 has no memory/, inTensor(2, { dataBuffer: 0 })],
    ["axes out of order", /order \[1\]/, inTensor(0, { dimOrder: [1] })],
    ["sizes without a bound", /DYNAMIC_UNBOUND/, inTensor(0, { dynamism: "DYNAMIC_UNBOUND" })],
    ["a type it cannot hold", /type QINT8/, inTensor(0, { scalarType: "QINT8" })],
    ["a negative size", /is \[-4\]/, inTensor(0, { sizes: [-4] })],
    ["many axes", /17 axes/, inTensor(0, { sizes: Array(17).fill(1), dimOrder: [...Array(17).keys()] })],
    ["a storage offset", /not dense/, inTensor(0, { storageOffset: 1 })],
    ["data that is not there", /has no data 2/, inTensor(2, { dataBuffer: 2 })],
    ["data behind its segment", /ends at 20 of a segment of 16/, inTensor(2, { sizes: [5] })],
    [
      "data in another file",
      /in another file/,
      inTensor(2, {
        extra: { name: "w", mutableSegment: 0, location: "EXTERNAL", device: "CPU", deviceIndex: 0 },
      }),
    ],
    ["no constant segment", /lacks a constant segment/, ({ constantSegment: _, ...tables }) => tables],
    ["no buffers", /sizes of buffers/, inForward((method) => ({ ...method, bufferSizes: [] }))],
    ["no instructions", /no instructions/, inForward((method) => ({ ...method, chains: [] }))],
  ])("%s", async (_, message, change) => {
    const problem = await problemOf(() => onCpu(plain(change)));
    expect(problem.code).toBe("program-corrupt");
    expect(problem.message).toMatch(message);
  });

  test("no method of that name, and delegates of others", async () => {
    const renamed = plain(inForward((method) => ({ ...method, name: "backward" })));
    expect(await problemOf(() => onCpu(renamed))).toMatchObject({ code: "program-backend" });
    const delegated = plain(
      inForward((method) => ({
        ...method,
        delegates: [{ id: "Acme", location: "SEGMENT", index: 0, specs: [] }],
      })),
    );
    expect((await problemOf(() => onCpu(delegated))).message).toMatch(/program-backend.*for Acme/);
  });

  test("to run without it: the plain program runs", async () => {
    const session = await onCpu(plain());
    expect(elements((await session.run({ x: f32([4], 1, 1, 1, 1) })).output0)).toEqual([2, 3, 4, 5]);
  });
});
