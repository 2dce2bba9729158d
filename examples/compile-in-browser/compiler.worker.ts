/** The compiler, off the page's thread. */
import { compile, definePlugin, type Graph, optionsSchema, phases, type Sink, weightBytes } from "bitnetc";
import * as z from "zod";
import { problemOf } from "../shared/problem-of.ts";
import { inputOf } from "./compiler-input.ts";
import type { CompileRequest, FromCompiler, OptionSchema, ToCompiler } from "./compiler-messages.ts";

import { programSink } from "./opfs-sink.ts";

const send = (message: FromCompiler): void => self.postMessage(message);

self.addEventListener("message", ({ data }: MessageEvent<ToCompiler>) => {
  compileProgram(data).catch((error: unknown) => send({ type: "failed", problem: problemOf(error) }));
});

const { properties = {} } = z.toJSONSchema(optionsSchema, { io: "input" });
send({ type: "options", options: properties as Readonly<Record<string, OptionSchema>> });

async function compileProgram({ model, files, options }: CompileRequest): Promise<void> {
  const started = performance.now();
  let total = 0;
  const watch = definePlugin({
    name: "progress",
    setup(build) {
      build.onPhase(/./, ({ phase, graph }) => {
        total = bytesOf(graph);
        send({ type: "phase", phase, next: phases[phases.indexOf(phase) + 1] ?? "write" });
      });
    },
  });
  const sink = await programSink();
  try {
    const counted = counting(sink, (bytes) =>
      send({ type: "written", bytes, total: Math.max(bytes, total) }),
    );
    const { report } = await compile(inputOf(model, files), counted, { ...options, plugins: [watch] });
    const program = await sink.finish();
    send({ type: "compiled", program, report, milliseconds: performance.now() - started });
  } catch (error) {
    await sink.discard();
    throw error;
  }
}

/** Bytes that a graph's constants take. */
function bytesOf(graph: Graph): number {
  const constants = new Set(graph.nodes.flatMap(({ operands }) => operands));
  let sum = 0;
  for (const { def } of constants) if (def.kind === "const") sum += weightBytes(def.data);
  return sum;
}

/** The same sink, with a word now and then on how far the writing is. */
function counting(sink: Sink, onBytes: (bytes: number) => void): Sink {
  let bytes = 0;
  let saidAt = 0;
  return {
    async write(offset, data) {
      await sink.write(offset, data);
      bytes += data.length;
      if (performance.now() - saidAt < 50) return;
      saidAt = performance.now();
      onBytes(bytes);
    },
    truncate: (size) => sink.truncate(size),
  };
}
