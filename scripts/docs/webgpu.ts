import { allKernelCases } from "../../src/backends/webgpu/kernels/cases.ts";
import { lowerings } from "../../src/backends/webgpu/lowering/lowerings.ts";
import { type Target, targets } from "../../src/backends/webgpu/target.ts";
import { table, withGenerated } from "./table.ts";

/** The page with the tables of lowerings, targets and kernels as they are in the code. */
export function withWebGpuTables(page: string): string {
  const tables = {
    lowerings: table(
      ["lowering", "what it takes, in how many dispatches"],
      lowerings.map(({ name, doc }) => [`\`${name}\``, doc]),
    ),
    targets: table(
      ["variant", "for adapters with", "how invocations share a sum"],
      Object.values<Target>(targets).map((target) => [
        target.name,
        needsText(target),
        {
          subgroup: `within subgroups, of ${target.subgroupSize} invocations or more`,
          workgroup: "through workgroup memory",
          serial: "each has its own",
        }[target.reduction],
      ]),
    ),
    kernels: table(
      ["kernel", "class", "what it computes"],
      allKernelCases.map(({ kernel }) => [
        `\`${kernel.name}\``,
        kernel.class,
        kernel.doc.replaceAll("\n", " "),
      ]),
    ),
  };
  return Object.entries(tables).reduce((text, [name, rows]) => withGenerated(text, name, rows), page);
}

function needsText({ reduction, packedDot }: Target): string {
  const needs = [
    ...(reduction === "serial" ? ["shaders that run on the CPU"] : []),
    ...(reduction === "subgroup" ? ["`subgroups`"] : []),
    ...(packedDot ? ["`packed_4x8_integer_dot_product`"] : []),
  ];
  return needs.join(", ") || "nothing beyond WebGPU's first version";
}
