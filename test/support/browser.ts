import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { chromiumPath } from "./requirements.ts";

/** Another name of this machine, which the browser trusts less than localhost. */
export const insecureHost = "insecure.test";

/** A browser with a profile of its own. */
export interface TestBrowser {
  readonly context: BrowserContext;
  /** A new page. What it logs as an error, and what it throws, goes to `faults`. */
  page(): Promise<Page>;
  readonly faults: string[];
  close(): Promise<void>;
}

/** Headless Chromium with WebGPU on its software adapter. */
export async function launchBrowser(): Promise<TestBrowser> {
  const profile = mkdtempSync(join(tmpdir(), "bitnetc-chromium-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: chromiumPath,
    headless: true,
    viewport: { width: 1280, height: 800 },
    args: [
      "--no-sandbox",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      // Without it there is no adapter where there is no GPU.
      "--enable-unsafe-webgpu",
      // An origin that is no secure context, as a machine in the same network is.
      `--host-resolver-rules=MAP ${insecureHost} 127.0.0.1`,
    ],
  });
  const faults: string[] = [];
  return {
    context,
    faults,
    async page() {
      const page = await context.newPage();
      page.on("pageerror", (error) => faults.push(String(error)));
      page.on("console", (message) => {
        if (message.type() === "error") faults.push(message.text());
      });
      return page;
    },
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}
