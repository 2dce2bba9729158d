import { readFileSync } from "node:fs";
import type { Locator, Page } from "playwright-core";
import { expect } from "vitest";

/** What both examples show of an open program, used as a reader would. */
export class SessionPage {
  readonly page: Page;
  readonly prompt: Locator;
  readonly send: Locator;
  readonly stop: Locator;
  /** What was given and what the program wrote, turn by turn. */
  readonly given: Locator;
  readonly written: Locator;
  readonly ending: Locator;
  readonly problem: Locator;

  constructor(page: Page) {
    this.page = page;
    this.prompt = page.getByRole("textbox", { name: /^(Prompt|Token ids|Message)$/ });
    this.send = page.getByRole("button", { name: /^(Continue|Send)$/ });
    this.stop = page.getByRole("button", { name: "Stop" });
    this.given = page.locator(".given");
    this.written = page.locator(".written");
    this.ending = page.locator(".ending");
    this.problem = page.getByRole("alert");
  }

  /** Waits until a program is open. @throws where it is refused instead */
  async opened(): Promise<void> {
    await this.prompt.or(this.problem).first().waitFor();
    expect(await this.problem.allInnerTexts()).toEqual([]);
  }

  /** Always the likeliest token, and as many of them as are asked for. */
  async sampleGreedily(maxNewTokens: number): Promise<void> {
    await this.page.getByLabel("Temperature").fill("0");
    await this.page.getByLabel("Most tokens").fill(String(maxNewTokens));
  }

  /** Continues a prompt, and gives what the last turn wrote. */
  async continue(prompt: string): Promise<string> {
    await this.prompt.fill(prompt);
    await this.send.click();
    return this.answer();
  }

  /** Waits until the program writes no more. */
  async answer(): Promise<string> {
    await expect.poll(() => this.send.isVisible(), patience).toBe(true);
    return (await this.written.last().textContent()) ?? "";
  }

  /** Drops files and folders on the page, as the browser itself does for a reader. */
  async drop(...files: string[]): Promise<void> {
    const client = await this.page.context().newCDPSession(this.page);
    const { x, y } = (await this.page.locator("#drop").boundingBox())!;
    const data = { items: [], files, dragOperationsMask: 1 };
    for (const type of ["dragEnter", "dragOver", "drop"] as const)
      await client.send("Input.dispatchDragEvent", { type, x: x + 10, y: y + 10, data });
  }

  /** What the progress bar says from now on; gives all of it so far. */
  async watchProgress(): Promise<() => Promise<readonly string[]>> {
    await this.page.evaluate(() => {
      const said: string[] = [];
      Object.assign(window, { said });
      new MutationObserver(() => {
        const text = document.querySelector(".loading .detail")?.textContent;
        if (text) said.push(text);
      }).observe(document.body, { childList: true, subtree: true, characterData: true });
    });
    return () => this.page.evaluate(() => (window as unknown as { said: string[] }).said);
  }

  /** Positions of the context that are in use, as the page says. */
  async used(): Promise<number> {
    return Number(
      await this.page.getByRole("meter", { name: "Context in use" }).getAttribute("aria-valuenow"),
    );
  }
}

/** A software GPU takes seconds for a first token. */
export const patience = { timeout: 50_000, interval: 50 } as const;

/** A prompt and the text that transformers continues it with, 64 tokens, always the likeliest. */
export function referenceText(
  folder: string,
  name: string,
): { readonly prompt: string; readonly text: string } {
  const { prompt, greedy_text: text } = JSON.parse(readFileSync(`${folder}/reference.json`, "utf8"))[name];
  return { prompt, text };
}
