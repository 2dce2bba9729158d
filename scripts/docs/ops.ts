import { coreOps } from "../../src/ir/ops/index.ts";
import { table } from "./table.ts";

/** A page on the ops of the core, from their definitions. */
export function opReference(): string {
  const rows = [...coreOps].map(([name, { args, commutative, mutates, doc }]) => {
    const facts = [
      ...(commutative ? ["Commutative."] : []),
      ...(mutates === undefined ? [] : [`Writes \`${mutates}\` in place.`]),
    ];
    return [`\`${name}\``, args.map((arg) => `\`${arg}\``).join(", "), [doc, ...facts].join(" ")];
  });
  return `# Ops

What a graph is made of. An argument with \`?\` can be left out, one with \`*\` is a list. Attributes and their types are
in [src/ir/ops/signatures.ts](../src/ir/ops/signatures.ts); the type checker knows them wherever an op is named.
This page is made from the definitions in \`src/ir/ops\` by \`npm run docs\`.

${table(["op", "arguments", "what it computes"], rows)}
`;
}
