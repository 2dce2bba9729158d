import type { VulkanGraph, VulkanTensor } from "../../serialize/vulkan-graph.ts";
import { LineWriter, type Listing } from "./listing.ts";

/** The tensors and the calls of a Vulkan delegate's graph; other values stand where they are used. */
export function listVulkan(graph: VulkanGraph): Listing {
  const { values, constants, inputs, outputs } = graph;
  const describe = (index: number): string => {
    const value = values[index]!;
    return value.type === "VkTensor" ? tensorText(value) : value.type;
  };
  const rolesOf = (index: number): string =>
    [
      ...inputs.flatMap((value, i) => (value === index ? [`, input ${i}`] : [])),
      ...outputs.flatMap((value, i) => (value === index ? [`, output ${i}`] : [])),
    ].join("");
  const addArgument = (line: LineWriter, index: number): void => {
    const value = values[index]!;
    switch (value.type) {
      case "VkTensor":
      case "SymInt":
        line.value(index);
        return;
      case "ValueList":
        line.add("[").list(value.items, (item) => addArgument(line, item));
        line.add("]");
        return;
      case "Null":
        line.add("null");
        return;
      case "String":
        line.add(JSON.stringify(value.value));
        return;
      case "Int":
      case "Bool":
        line.add(String(value.value));
        return;
      case "Double":
        line.add(doubleText(value.value));
        return;
      case "DoubleList":
        line.add(`[${value.items.map(doubleText).join(", ")}]`);
        return;
      default:
        line.add(`[${value.items.join(", ")}]`);
    }
  };
  return {
    inputs,
    values: values.flatMap((value, index) => {
      if (value.type !== "VkTensor" && value.type !== "SymInt") return [];
      const line = new LineWriter(describe).note(`%${index} = `).add(`${describe(index)}${rolesOf(index)}`);
      const constant = value.type === "VkTensor" ? constants[value.constant ?? -1] : undefined;
      if (constant !== undefined)
        line.note("key" in constant ? `, data ${constant.key}` : `, bytes at ${constant.offset}`);
      return [line.line()];
    }),
    calls: graph.calls.map(({ op, args }) => {
      const line = new LineWriter(describe).add(`${op}(`);
      line.list(args, (arg) => addArgument(line, arg));
      return line.add(")").line(op);
    }),
  };
}

const doubleText = (value: number): string =>
  Object.is(value, -0) ? "-0.0" : String(value).replace(/^-?\d+$/, "$&.0");

/** `const float32 [1, 64] buffer width_packed` */
function tensorText(tensor: VulkanTensor): string {
  const name = (member: string | number): string =>
    String(member)
      .toLowerCase()
      .replace(/^tensor_|^default_/, "");
  const { dataType, dims, constant, memoryObject, storage, layout, stagingDataType } = tensor;
  return [
    ...(constant === undefined ? [] : ["const"]),
    `${name(dataType)} [${dims.join(", ")}]`,
    name(storage),
    name(layout),
    ...(stagingDataType === "UNSET" || stagingDataType === dataType
      ? []
      : [`staged as ${name(stagingDataType)}`]),
    ...(memoryObject === undefined ? [] : [`in memory ${memoryObject}`]),
  ].join(" ");
}
