import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

/** Chromium's executable. */
export const chromiumPath = process.env.CHROMIUM ?? "/usr/bin/chromium";

interface MissingPart {
  readonly what: string;
  /** The tests that need it. */
  readonly folder: string;
  readonly hint: string;
}

const install = "scripts/install-test-drivers.sh installs it on Debian 12 (as root)";

/** What this machine lacks of what some tests need. */
export function missingParts(): readonly MissingPart[] {
  return [
    ...(hasAdapter() ? [] : [{ what: "adapter for WebGPU", folder: "test/webgpu", hint: `${install}.` }]),
    ...(existsSync(chromiumPath)
      ? []
      : [
          {
            what: `Chromium at ${chromiumPath}`,
            folder: "test/browser",
            hint: `${install}, or set CHROMIUM.`,
          },
        ]),
  ];
}

/** Asks in a process of its own: a driver that crashes should not take the tests with it. */
function hasAdapter(): boolean {
  const question =
    'import { create } from "webgpu"; globalThis.gpu = create([]); process.exit((await gpu.requestAdapter()) ? 0 : 1);';
  try {
    execFileSync(process.execPath, ["--input-type=module", "--eval", question], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
