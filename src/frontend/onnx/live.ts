import type { OnnxNodeRecord } from "./model.ts";

/** The named values and all that they are computed from. */
export function wantedNames(
  nodes: readonly OnnxNodeRecord[],
  outputs: readonly string[],
): ReadonlySet<string> {
  const wanted = new Set(outputs);
  wanted.delete("");
  for (const node of [...nodes].reverse()) {
    if (node.outputs.some((name) => wanted.has(name))) for (const name of namesRead(node)) wanted.add(name);
  }
  return wanted;
}

/** Names that a node reads, itself or in the graphs it holds (which may hide some of them). */
function namesRead(node: OnnxNodeRecord): readonly string[] {
  const names = node.inputs.filter((name) => name !== "");
  for (const attribute of node.attributes.values()) {
    if (attribute.kind !== "graph") continue;
    for (const inner of attribute.value.nodes) names.push(...namesRead(inner));
    names.push(...attribute.value.outputs.map(({ name }) => name));
  }
  return names;
}
