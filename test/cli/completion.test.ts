import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { completionScript } from "../../src/cli/completion.ts";
import { commandNames, flagOf, optionNames, shells } from "../../src/cli/options.ts";

const has = (shell: string) => spawnSync(shell, ["-c", "true"]).status === 0;
let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "bitnetc-completion-"));
  writeFileSync(join(folder, "my model.onnx"), "");
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(shells)("the script for %s", (shell) => {
  const script = completionScript(shell);

  it("knows every command and option", () => {
    for (const command of commandNames) expect(script).toContain(command);
    for (const name of optionNames) {
      expect(script).toContain(shell === "fish" ? `-l ${flagOf(name).slice(2)}` : flagOf(name));
    }
  });

  it.runIf(has(shell))("is valid", () => {
    const path = join(folder, `completion.${shell}`);
    writeFileSync(path, script);
    expect(() => execFileSync(shell, ["-n", path])).not.toThrow();
  });
});

describe.runIf(has("bash"))("completion in bash", () => {
  const complete = (...words: string[]): string[] => {
    const quoted = ["bitnetc", ...words].map((word) => `'${word}'`).join(" ");
    const script = `${completionScript("bash")}\nCOMP_WORDS=(${quoted}); COMP_CWORD=${words.length}; _bitnetc; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync("bash", ["-c", script], { cwd: folder, encoding: "utf8" }).trim().split("\n");
  };

  it.each([
    [["ins"], ["inspect"]],
    [["compile", "--wei"], ["--weights"]],
    [
      ["compile", "m.onnx", "--weights", ""],
      ["tq2_0", "tq1_0"],
    ],
    [["run", "--device", "c"], ["cpu"]],
    [["--verbose", "compile", "--plugin", "my"], ["my model.onnx"]],
    [["completion", "z"], ["zsh"]],
    [["run", "m.pte", "--seed", ""], [""]],
  ])("of %j", (words, expected) => {
    expect(complete(...words)).toEqual(expected);
  });

  it("offers files for the argument", () => {
    expect(complete("compile", "my")).toEqual(["my model.onnx"]);
  });
});
