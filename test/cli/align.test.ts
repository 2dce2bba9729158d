import fc from "fast-check";
import { expect, test } from "vitest";
import { alignLists } from "../../src/cli/inspect/align.ts";

/** The length by the textbook's table. */
function commonLength(a: readonly string[], b: readonly string[]): number {
  const table = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  for (let i = 1; i <= a.length; i++)
    for (let j = 1; j <= b.length; j++)
      table[i]![j] =
        a[i - 1] === b[j - 1] ? table[i - 1]![j - 1]! + 1 : Math.max(table[i - 1]![j]!, table[i]![j - 1]!);
  return table[a.length]![b.length]!;
}

test("gives a longest common subsequence", () => {
  const list = fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 30 });
  fc.assert(
    fc.property(list, list, (a, b) => {
      const pairs = alignLists(a, b);
      for (const [i, [one, other]] of pairs.entries()) {
        expect(a[one]).toBe(b[other]);
        if (i > 0) expect(one > pairs[i - 1]![0] && other > pairs[i - 1]![1]).toBe(true);
      }
      expect(pairs).toHaveLength(commonLength(a, b));
    }),
  );
});
