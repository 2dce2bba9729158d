/**
 * A longest common subsequence of two lists: pairs of places with equal elements, in order. Hirschberg's algorithm
 * ("A linear space algorithm for computing maximal common subsequences", 1975): time of the product of the lengths
 * between the common beginning and end, space of their sum.
 */
export function alignLists(
  a: readonly string[],
  b: readonly string[],
): readonly (readonly [number, number])[] {
  const ids = new Map<string, number>();
  const idOf = (text: string): number => {
    const id = ids.get(text) ?? ids.size;
    ids.set(text, id);
    return id;
  };
  const left = Int32Array.from(a, idOf);
  const right = Int32Array.from(b, idOf);
  const pairs: (readonly [number, number])[] = [];
  const align = (a0: number, a1: number, b0: number, b1: number): void => {
    let [from, to] = [a0, a1];
    let [start, end] = [b0, b1];
    while (from < to && start < end && left[from] === right[start]) pairs.push([from++, start++]);
    let common = 0;
    while (from < to && start < end && left[to - 1] === right[end - 1]) {
      to--;
      end--;
      common++;
    }
    if (to - from === 1) {
      const at = right.subarray(start, end).indexOf(left[from]!);
      if (at >= 0) pairs.push([from, start + at]);
    } else if (from < to && start < end) {
      const middle = (from + to) >> 1;
      const split = bestSplit(
        left.subarray(from, middle),
        left.subarray(middle, to),
        right.subarray(start, end),
      );
      align(from, middle, start, start + split);
      align(middle, to, start + split, end);
    }
    for (let i = 0; i < common; i++) pairs.push([to + i, end + i]);
  };
  align(0, left.length, 0, right.length);
  return pairs;
}

/** Where to cut `list` so that its parts have the most in common with `head` and `tail`. */
function bestSplit(head: Int32Array, tail: Int32Array, list: Int32Array): number {
  const before = commonLengths(head, list);
  const after = commonLengths(tail.slice().reverse(), list.slice().reverse());
  let best = 0;
  const common = (at: number): number => before[at]! + after[list.length - at]!;
  for (let at = 1; at <= list.length; at++) if (common(at) > common(best)) best = at;
  return best;
}

/** Lengths of the longest common subsequences of `a` and each beginning of `b`. */
function commonLengths(a: Int32Array, b: Int32Array): Int32Array {
  let row = new Int32Array(b.length + 1);
  let next = new Int32Array(b.length + 1);
  for (const element of a) {
    for (let j = 0; j < b.length; j++)
      next[j + 1] = element === b[j] ? row[j]! + 1 : Math.max(next[j]!, row[j + 1]!);
    [row, next] = [next, row];
  }
  return row;
}
