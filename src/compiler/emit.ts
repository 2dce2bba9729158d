import type { WrittenProgram } from "../serialize/program-writer.ts";
import type { Sink } from "../serialize/sink.ts";
import type { Lowered } from "./lower.ts";

/** Writes the program file, as its backend does. */
export async function emit(
  { info, report, compilation }: Lowered<"planned">,
  sink: Sink,
): Promise<WrittenProgram> {
  const { graph } = compilation.context.placed;
  if (graph === undefined) throw new Error("no pass decided where nodes run");
  return graph.emit({ info, report }, sink);
}
