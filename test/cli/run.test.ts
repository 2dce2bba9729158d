import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeNpy, encodeNpy } from "../../src/tensor/npy.ts";
import { tensor } from "../../src/tensor/tensor.ts";
import { bos, byteId, byteLevelTokenizer, tokenCount } from "../text/byte-level-tokenizer.ts";
import { bigramProgram, bigramTable, maxSeqLen } from "./bigram-program.ts";
import { runCli, temporaryFolder } from "./run-cli.ts";

const folder = temporaryFolder();
const program = folder.file("bigram.pte");
const mute = folder.file("mute.pte");
const table = bigramTable(tokenCount);
const rowOf = (id: number) => table.subarray(id * tokenCount, (id + 1) * tokenCount);
const next = (id: number) => (3 * id + 5) % tokenCount;
const follow = (id: number, count: number): number[] =>
  count === 0 ? [] : [next(id), ...follow(next(id), count - 1)];

beforeAll(async () => {
  const texts = {
    "tokenizer.json": byteLevelTokenizer(),
    "tokenizer_config.json": JSON.stringify({ bos_token: bos }),
    "chat_template.jinja": "{{ bos_token }}{{ messages[0].content }}!",
  };
  writeFileSync(program, await bigramProgram(tokenCount, texts));
  writeFileSync(mute, await bigramProgram(tokenCount));
});
afterAll(() => folder.remove());

describe("bitnetc run", () => {
  it("prints prompt, output, text, device and timings as JSON, and nothing else", async () => {
    const { code, out, err } = await runCli(
      "run",
      program,
      "--prompt",
      "A",
      "--max-new-tokens",
      "4",
      "--json",
    );
    const result = JSON.parse(out);
    expect({ code, err }).toEqual({ code: 0, err: "" });
    expect(Object.keys(result)).toEqual(["prompt_ids", "output_ids", "text", "device", "timings"]);
    expect(result).toMatchObject({
      prompt_ids: [0, byteId(0x41)],
      output_ids: follow(byteId(0x41), 4),
      device: "cpu",
    });
    expect(Object.values(result.timings).every((value) => typeof value === "number")).toBe(true);
  });

  it("streams the text", async () => {
    const json = await runCli("run", program, "--prompt", "A", "--max-new-tokens", "6", "--json");
    const { code, out } = await runCli("run", program, "--prompt", "A", "--max-new-tokens", "6");
    expect({ code, out }).toEqual({ code: 0, out: `${JSON.parse(json.out).text}\n` });
  });

  it("takes token ids, and prints ids where there is no tokenizer", async () => {
    const { out } = await runCli("run", mute, "--input-ids", "7, 8", "--max-new-tokens", "3");
    expect(out).toBe(`${follow(8, 3).join(",")}\n`);
  });

  it("takes a tokenizer from a file, with the configuration beside it", async () => {
    writeFileSync(folder.file("tokenizer.json"), byteLevelTokenizer({ template: false }));
    writeFileSync(
      folder.file("tokenizer_config.json"),
      JSON.stringify({ bos_token: bos, add_bos_token: true }),
    );
    const args = ["run", mute, "--prompt", "A", "--max-new-tokens", "1", "--json"];
    const { out } = await runCli(...args, "--tokenizer", folder.file("tokenizer.json"));
    expect(JSON.parse(out).prompt_ids).toEqual([0, byteId(0x41)]);
    expect((await runCli(...args)).err).toBe("");
    expect(JSON.parse((await runCli(...args)).out).errors[0].code).toBe("no-tokenizer");
  });

  it("gives a prompt to the chat template", async () => {
    const { out } = await runCli(
      "run",
      program,
      "--prompt",
      "A",
      "--chat",
      "--max-new-tokens",
      "0",
      "--json",
    );
    expect(JSON.parse(out)).toMatchObject({
      prompt_ids: [0, byteId(0x41), byteId(0x21)],
      output_ids: [],
      text: "",
    });
  });

  it("writes the logits of the prompt's positions", async () => {
    const path = folder.file("logits.safetensors");
    await runCli("run", program, "--input-ids", "5,9,2", "--max-new-tokens", "1", "--logits-out", path);
    const file = readFileSync(path);
    const headerSize = Number(file.readBigUInt64LE(0));
    const header = JSON.parse(file.toString("utf8", 8, 8 + headerSize));
    expect(header).toMatchObject({ logits: { dtype: "F32", shape: [3, tokenCount] } });
    const data = new Float32Array(
      file.buffer.slice(file.byteOffset + 8 + headerSize, file.byteOffset + file.length),
    );
    expect([...data]).toEqual([5, 9, 2].flatMap((id) => [...rowOf(id)]));
  });

  it("ends when the program has no room, and says so", async () => {
    const { out, err } = await runCli("run", program, "--input-ids", "3", "--max-new-tokens", "99");
    expect(err).toContain(`room for ${maxSeqLen}`);
    expect(out).not.toContain("room");
    const json = await runCli("run", program, "--input-ids", "3", "--max-new-tokens", "99", "--json");
    expect(JSON.parse(json.out).output_ids).toEqual(follow(3, maxSeqLen));
  });

  it("makes equal choices for equal seeds", async () => {
    const draw = async (seed: string) =>
      JSON.parse(
        (await runCli("run", program, "--input-ids", "3", "--temperature", "3", "--seed", seed, "--json"))
          .out,
      ).output_ids;
    expect(await draw("5")).toEqual(await draw("5"));
    expect(await draw("5")).not.toEqual(await draw("6"));
  });

  it("computes outputs from tensors", async () => {
    writeFileSync(folder.file("t.npy"), encodeNpy(tensor("i64", [1, 2], [4, 6])));
    writeFileSync(folder.file("p.npy"), encodeNpy(tensor("i64", [1], [0])));
    const inputs = [
      "--input",
      `tokens=${folder.file("t.npy")}`,
      "--input",
      `start_pos=${folder.file("p.npy")}`,
    ];
    const { code, out } = await runCli(
      "run",
      program,
      ...inputs,
      "--output-dir",
      folder.file("outputs"),
      "--json",
    );
    expect(code).toBe(0);
    expect(JSON.parse(out).outputs).toEqual([
      { name: "logits", dtype: "f32", shape: [1, 2, tokenCount], file: folder.file("outputs/logits.npy") },
    ]);
    const logits = decodeNpy("logits", readFileSync(folder.file("outputs/logits.npy")));
    expect([...logits.data]).toEqual([...rowOf(4), ...rowOf(6)]);
    expect((await runCli("run", program, ...inputs)).out).toBe(`logits: f32 [1, 2, ${tokenCount}]\n`);
  });

  it.each([
    ["nothing to run", []],
    ["two prompts", ["--prompt", "a", "--input-ids", "1"]],
    ["ids that are none", ["--input-ids", "1,x"]],
    ["an input without a file", ["--input", "tokens"]],
    ["an input twice", ["--input", "a=b", "--input", "a=c"]],
    ["a chat without a prompt", ["--input-ids", "1", "--chat"]],
    ["outputs without inputs", ["--prompt", "a", "--output-dir", "x"]],
  ])("takes %s for a mistake in the command line", async (_, args) => {
    const { code, out, err } = await runCli("run", program, ...args);
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(err).toMatch(/^error\[usage\]/);
  });

  it.each([
    ["file-missing", ["run", folder.file("none.pte"), "--prompt", "a"]],
    ["prompt-too-long", ["run", program, "--prompt", "a".repeat(maxSeqLen)]],
    ["token-id", ["run", program, "--input-ids", String(tokenCount)]],
    ["device-unavailable", ["run", program, "--prompt", "a", "--device", "webgpu"]],
    ["file-missing", ["run", program, "--input", "tokens=none.npy"]],
    ["file-write", ["run", program, "--input-ids", "1", "--logits-out", folder.file("no/such/folder")]],
  ])("says %s", async (wanted, args) => {
    const { code, out, err } = await runCli(...args);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toMatch(new RegExp(`^error\\[${wanted}\\]: [A-Z].*\\.\n`));
    const json = await runCli(...args, "--json");
    expect({ code: json.code, err: json.err }).toEqual({ code: 1, err: "" });
    expect(JSON.parse(json.out).errors[0]).toMatchObject({ code: wanted, severity: "error" });
  });

  it("leaves no unfinished file behind", () => {
    expect(readdirSync(folder.path).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });
});

describe("bitnetc eval", () => {
  const ids = Array.from({ length: 21 }, (_, i) => (i * 37) % tokenCount);
  const nll = (window: number, windows: number) => {
    let sum = 0;
    for (let i = 0; i < window * windows; i++) {
      const row = [...rowOf(ids[i]!)];
      sum += Math.log(row.reduce((total, x) => total + Math.exp(x), 0)) - row[ids[i + 1]!]!;
    }
    return sum / (window * windows);
  };

  it("measures token ids in windows", async () => {
    writeFileSync(folder.file("ids.json"), JSON.stringify(ids));
    const args = ["eval", program, "--ids", folder.file("ids.json"), "--window", "6", "--json"];
    const result = JSON.parse((await runCli(...args)).out);
    expect(Object.keys(result)).toEqual(["nll_per_token", "perplexity", "tokens"]);
    expect(result.tokens).toBe(18);
    expect(result.nll_per_token).toBeCloseTo(nll(6, 3), 6);
    expect(result.perplexity).toBeCloseTo(Math.exp(nll(6, 3)), 4);
    expect(JSON.parse((await runCli(...args, "--max-windows", "2")).out).tokens).toBe(12);
  });

  it("compares with another program on the same ids", async () => {
    const flat = folder.file("flat.pte");
    writeFileSync(flat, await bigramProgram(tokenCount, {}, new Float32Array(tokenCount * tokenCount)));
    writeFileSync(folder.file("ids.json"), JSON.stringify(ids));
    const args = ["--ids", folder.file("ids.json"), "--window", "6"];
    const alone = JSON.parse((await runCli("eval", program, ...args, "--json")).out);
    const { out } = await runCli("eval", program, "--against", flat, ...args, "--json");
    // every token is as likely as any other where all logits are 0
    const uniform = { nll_per_token: Math.log(tokenCount), perplexity: tokenCount };
    const change = (alone.perplexity / tokenCount - 1) * 100;
    expect(JSON.parse(out)).toEqual({
      ...alone,
      against: {
        nll_per_token: expect.closeTo(uniform.nll_per_token, 9),
        perplexity: expect.closeTo(uniform.perplexity, 6),
        tokens: 18,
      },
      perplexity_change_percent: expect.closeTo(change, 6),
    });
    const text = await runCli("eval", flat, "--against", program, ...args);
    const inverse = (tokenCount / alone.perplexity - 1) * 100;
    expect(text.out.split("\n")).toEqual([
      expect.stringMatching(new RegExp(`^perplexity ${tokenCount}\\.0000 .* over 18 tokens$`)),
      expect.stringMatching(/^.*bigram\.pte: perplexity \d+\.\d{4} .* over 18 tokens$/),
      `change ${inverse < 0 ? "" : "+"}${inverse.toFixed(3)} %`,
      "",
    ]);
    const same = await runCli("eval", program, "--against", program, ...args);
    expect(same.out).toContain("\nchange +0.000 %\n");
  });

  it("encodes a text with the first program's tokenizer for both", async () => {
    writeFileSync(folder.file("both.txt"), "abcdefg");
    const { out } = await runCli(
      "eval",
      program,
      "--against",
      mute,
      ...["--text", folder.file("both.txt"), "--window", "6", "--json"],
    );
    expect(JSON.parse(out)).toMatchObject({ against: { tokens: 6 }, perplexity_change_percent: 0 });
  });

  it("measures a text without a token in front", async () => {
    writeFileSync(folder.file("text.txt"), "abcdefg");
    writeFileSync(
      folder.file("bytes.json"),
      JSON.stringify([..."abcdefg"].map((c) => byteId(c.charCodeAt(0)))),
    );
    const text = await runCli("eval", program, "--text", folder.file("text.txt"), "--window", "6", "--json");
    const bytes = await runCli(
      "eval",
      program,
      "--ids",
      folder.file("bytes.json"),
      "--window",
      "6",
      "--json",
    );
    expect(JSON.parse(text.out)).toEqual(JSON.parse(bytes.out));
  });

  it.each([
    [2, "usage", () => []],
    [1, "eval-too-short", () => ["--ids", folder.file("few.json"), "--window", "3"]],
    [1, "token-id", () => ["--ids", folder.file("unknown.json"), "--window", "2"]],
    [1, "file-not-text", () => ["--text", program]],
    [1, "eval-window", () => ["--ids", folder.file("ids.json"), "--window", "17"]],
    [1, "file-missing", () => ["--ids", folder.file("ids.json"), "--against", folder.file("none.pte")]],
    [1, "json-syntax", () => ["--ids", folder.file("text.txt")]],
    [1, "json-field", () => ["--ids", folder.file("tokenizer_config.json")]],
  ])("exits with %i for %s", async (code, wanted, args) => {
    writeFileSync(folder.file("few.json"), "[1, 2, 3]");
    // the last id is predicted only, never fed
    writeFileSync(folder.file("unknown.json"), `[1, 2, ${tokenCount}]`);
    const result = await runCli("eval", program, ...args());
    expect(result.code).toBe(code);
    expect(result.err).toContain(`error[${wanted}]`);
  });
});

describe("texts in a program that are not what they should be", () => {
  const damaged = folder.file("damaged.pte");
  it.each([
    ["generation_config.json", "{", "run", "program-corrupt"],
    ["report.json", "[", "inspect", "json-syntax"],
    ["report.json", '{"ops": {"mul": "many"}}', "inspect", "json-field"],
  ])("%s %s is told", async (key, text, command, code) => {
    writeFileSync(damaged, await bigramProgram(tokenCount, { [key]: text }));
    const args = command === "run" ? ["run", damaged, "--input-ids", "0"] : ["inspect", damaged];
    const result = await runCli(...args);
    expect(result).toMatchObject({ code: 1, out: "" });
    expect(result.err).toContain(`error[${code}]`);
    expect(result.err).toContain(key);
  });

  it("recommendations of other types are passed over", async () => {
    writeFileSync(damaged, await bigramProgram(tokenCount, { "generation_config.json": "null" }));
    expect(await runCli("run", damaged, "--input-ids", "0", "--max-new-tokens", "1")).toMatchObject({
      code: 0,
    });
  });
});
