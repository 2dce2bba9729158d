import { maxOf } from "../../tensor/dim.ts";
import { elementCount } from "../../tensor/tensor.ts";
import type { VulkanCalls, VulkanTensor } from "./value.ts";

interface MemoryObject {
  readonly number: number;
  elements: number;
  /** The last call that uses what lies there. */
  busyUntil: number;
}

/** Every element takes four bytes. */
const elementsOf = ({ shape }: VulkanTensor): number => elementCount(shape.map(maxOf));

/**
 * Lets tensors share memory that are never needed at once, whole objects at a time, as the runtime has it: an object is
 * as large as the largest tensor in it. Results never take the place of what their call reads. What comes from outside,
 * goes there or is kept has memory of its own.
 *
 * @returns the number of a tensor's memory object, by the tensor's id
 */
export function shareMemory({ calls, outputs }: VulkanCalls): ReadonlyMap<number, number> {
  const own = new Set(outputs.map(({ id }) => id));
  const lastUses = new Map<number, number>();
  calls.forEach(({ args }, at) => {
    for (const { id } of args.flatMap(tensorsOf)) lastUses.set(id, at);
  });
  const objects: MemoryObject[] = [];
  const placed = new Map<number, number>();
  calls.forEach(({ result }, at) => {
    for (const tensor of tensorsOf(result)) {
      if (tensor.isKept || own.has(tensor.id)) continue;
      const elements = elementsOf(tensor);
      const object = bestFit(
        objects.filter(({ busyUntil }) => busyUntil < at),
        elements,
      ) ?? { number: objects.length, elements: 0, busyUntil: at };
      if (object.number === objects.length) objects.push(object);
      object.elements = Math.max(object.elements, elements);
      object.busyUntil = Math.max(at, lastUses.get(tensor.id) ?? at);
      placed.set(tensor.id, object.number);
    }
  });
  return placed;
}

/** The smallest that is large enough, else the largest, which grows. */
function bestFit(free: readonly MemoryObject[], elements: number): MemoryObject | undefined {
  const bySize = [...free].sort((a, b) => a.elements - b.elements);
  return bySize.find((object) => object.elements >= elements) ?? bySize.at(-1);
}

/** The tensors in an argument or a result. */
export function tensorsOf(value: unknown): readonly VulkanTensor[] {
  if (typeof value !== "object" || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(tensorsOf);
  return (value as { kind?: string }).kind === "tensor" ? [value as VulkanTensor] : [];
}
