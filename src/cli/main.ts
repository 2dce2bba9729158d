#!/usr/bin/env node
import { writeError } from "../node/file-source.ts";
import { runCommandLine } from "./cli.ts";
import { printError } from "./io.ts";

const args = process.argv.slice(2);
const io = {
  out: (text: string) => void process.stdout.write(text),
  err: (text: string) => void process.stderr.write(text),
  isTerminal: process.stderr.isTTY === true,
};

// A reader that has seen enough, such as `head`, is no fault.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  const show = { json: false, verbose: args.includes("--verbose") };
  process.exit(printError(io, writeError("standard output", error), show));
});
process.stderr.on("error", () => {});

// `exit` handlers run, so no unfinished file stays. The codes are those of shells: 128 and the signal's number.
const signals = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;
for (const [signal, code] of Object.entries(signals)) process.once(signal, () => process.exit(code));

process.exitCode = await runCommandLine(args, io);
