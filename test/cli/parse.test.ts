import { describe, expect, it } from "vitest";
import * as z from "zod";
import {
  commandNames,
  commands,
  flagOf,
  type OptionSpec,
  optionNames,
  options,
  optionsOf,
} from "../../src/cli/options.ts";
import { parseLine } from "../../src/cli/parse.ts";
import { kindOf } from "../../src/cli/schema-kind.ts";

function parse(...args: string[]) {
  let printed = "";
  const line = parseLine(args, { out: (text) => (printed += text), version: "1.2.3" });
  return { line, printed };
}

/** Some text that the option accepts. */
function exampleOf(spec: OptionSpec): string {
  const { type, choices } = kindOf(spec.schema);
  return type === "number" ? "1" : (choices[0] ?? "text");
}

describe("the option table", () => {
  it.each(optionNames)("%s is parsed, helped with and described once", (name) => {
    const spec: OptionSpec = options[name];
    expect(spec.description).not.toMatch(/\.$|^[A-Z]/);
    expect(spec.placeholder === undefined).toBe(kindOf(spec.schema).type === "boolean");
    for (const command of spec.commands) {
      const argument = commands[command].argument;
      const first = "choices" in argument ? argument.choices[0]! : "file";
      const value = spec.placeholder === undefined ? [] : [exampleOf(spec)];
      const { line } = parse(command, first, flagOf(name), ...value);
      expect(Object.keys(line!.given)).toEqual([name]);
      expect(z.safeParse(spec.schema, line!.given[name]).success).toBe(true);
      const help = parse(command, "--help").printed.replace(/\s+/g, " ");
      expect(help).toContain(flagOf(name));
      expect(help).toContain(spec.description.replace(/\s+/g, " "));
    }
  });

  it("has no two options of a command with one short name", () => {
    for (const command of commandNames) {
      const shorts = optionsOf(command).flatMap(([, { short }]) => (short === undefined ? [] : [short]));
      expect(new Set([...shorts, "h"]).size).toBe(shorts.length + 1);
    }
  });

  it("accepts its own examples", () => {
    for (const command of commandNames) {
      for (const example of commands[command].examples) {
        const words = [...example.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
        expect(parse(...words).line?.command).toBe(command);
      }
    }
  });

  it("names every command in the help", () => {
    const { printed } = parse();
    const text = printed.replace(/\s+/g, " ");
    for (const command of commandNames) expect(text).toContain(commands[command].summary);
    expect(parse("help").printed).toBe(printed);
    expect(parse("help", "run").printed).toBe(parse("run", "--help").printed);
    expect(parse("--version").printed).toBe("1.2.3\n");
  });
});

describe("parseLine", () => {
  it("reads numbers, repeated options and flags, before and after the argument", () => {
    const { line } = parse("run", "--seed", "7", "m.pte", "--input", "a=1", "--input", "b=2", "--json");
    expect(line).toEqual({
      command: "run",
      argument: "m.pte",
      given: { seed: 7, input: ["a=1", "b=2"], json: true },
    });
  });

  it("takes --json and --verbose in front of the command too", () => {
    expect(parse("--verbose", "inspect", "m.pte").line?.given).toEqual({ verbose: true });
  });

  it.each([
    [["frobnicate"], /Unknown command 'frobnicate'/],
    [["help", "frobnicate"], /Give one of the commands compile, run/],
    [["--json"], /Give one of the commands compile, run/],
    [["compile"], /Missing required argument 'model'/],
    [["compile", "a", "b"], /Too many arguments/],
    [["compile", "a", "--nonsense"], /Unknown option '--nonsense'/],
    [["compile", "a", "--weights", "q9"], /--weights.*tq2_0/],
    [["compile", "a", "--to", "elsewhere"], /--to.*canonical/],
    [["compile", "a", "--max-seq-len", "0"], /--max-seq-len/],
    [["compile", "a", "--max-seq-len", "many"], /--max-seq-len.*A number is expected/],
    [["compile", "a", "--max-seq-len", "2147483648"], /--max-seq-len/],
    [["compile", "a", "--max-seq-len", ""], /--max-seq-len/],
    [["run", "a", "--top-p", "1.5"], /--top-p/],
    [["run", "a", "--seed", "1.5"], /--seed/],
    [["run", "a", "--seed"], /argument missing/],
    [["completion", "powershell"], /bash, zsh, fish/],
  ])("refuses %j", (args, message) => {
    expect(() => parse(...args)).toThrow(message);
    expect(() => parse(...args)).toThrow(/error\[usage\][\s\S]*hint: See `bitnetc/);
  });
});
