import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  addDims,
  areDifferent,
  ceilDivideDims,
  type Dim,
  dimKey,
  evaluateDim,
  floorDivideDims,
  isAtLeast,
  isSymbolic,
  maxDims,
  maxOf,
  minDims,
  minOf,
  moduloDims,
  multiplyDims,
  parseDim,
  productOf,
  sameDim,
  substituteDim,
  subtractDims,
  symbol,
  symbolBounds,
  symbolsOf,
  unboundedDim,
} from "../../src/tensor/dim.ts";

/** An operation on sizes, and what it means for numbers. */
interface Operation {
  readonly name: string;
  readonly symbolic: (a: Dim, b: Dim) => Dim;
  /** Throws where the result has no meaning. */
  readonly numeric: (a: number, b: number) => number;
}

const divided = (a: number, b: number): number => {
  if (b === 0) throw new RangeError("division by zero");
  return Math.floor(a / b);
};

const operations: readonly Operation[] = [
  { name: "add", symbolic: addDims, numeric: (a, b) => a + b },
  { name: "subtract", symbolic: subtractDims, numeric: (a, b) => a - b },
  { name: "multiply", symbolic: multiplyDims, numeric: (a, b) => a * b },
  { name: "floor divide", symbolic: floorDivideDims, numeric: divided },
  { name: "modulo", symbolic: moduloDims, numeric: (a, b) => a - divided(a, b) * b },
  { name: "max", symbolic: maxDims, numeric: Math.max },
  { name: "min", symbolic: minDims, numeric: Math.min },
];

type Expression =
  | number
  | string
  | { readonly by: Operation; readonly a: Expression; readonly b: Expression };

/** Bounds below, across and above zero. */
const bounds: Readonly<Record<string, readonly [number, number]>> = {
  seq: [1, 8],
  past: [0, 6],
  signed: [-5, 4],
  negative: [-7, -2],
};
const symbols = new Map<string, Dim>(
  Object.entries(bounds).map(([name, [min, max]]) => [name, symbol(name, max, min)]),
);
const lookup = (name: string): Dim => symbols.get(name)!;

const { expression } = fc.letrec<{ expression: Expression }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.oneof(fc.integer({ min: -6, max: 6 }), fc.constantFrom(...symbols.keys())),
    fc.record({ by: fc.constantFrom(...operations), a: tie("expression"), b: tie("expression") }),
  ),
}));
const values = fc.record(
  Object.fromEntries(Object.entries(bounds).map(([name, [min, max]]) => [name, fc.integer({ min, max })])),
);

function build(e: Expression): Dim {
  if (typeof e === "number") return e;
  return typeof e === "string" ? lookup(e) : e.by.symbolic(build(e.a), build(e.b));
}

/** Undefined where a divisor is zero. */
function compute(e: Expression, of: Readonly<Record<string, number>>): number | undefined {
  const value = (each: Expression): number => {
    if (typeof each === "number") return each;
    return typeof each === "string" ? of[each]! : each.by.numeric(value(each.a), value(each.b));
  };
  try {
    return value(e) + 0;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

const asMap = (of: Readonly<Record<string, number>>) => new Map(Object.entries(of));
const runs = { numRuns: 1000 };

describe("expressions over symbols", () => {
  test("have the value that the operations on numbers have, inside their bounds", () => {
    fc.assert(
      fc.property(expression, values, (e, of) => {
        const expected = compute(e, of);
        fc.pre(expected !== undefined);
        const size = build(e);
        expect(evaluateDim(size, asMap(of))).toBe(expected);
        expect(expected).toBeGreaterThanOrEqual(minOf(size));
        expect(expected).toBeLessThanOrEqual(maxOf(size));
      }),
      runs,
    );
  });

  test("are read back from their text", () => {
    fc.assert(
      fc.property(expression, (e) => {
        const size = build(e);
        expect(parseDim(dimKey(size), lookup)).toEqual(size);
      }),
      runs,
    );
  });

  test("keep their value when symbols are replaced", () => {
    fc.assert(
      fc.property(expression, expression, expression, values, (e, seq, past, of) => {
        const meaning = { seq, past };
        const replaced = { ...of, seq: compute(seq, of), past: compute(past, of) };
        fc.pre(replaced.seq !== undefined && replaced.past !== undefined);
        const expected = compute(e, replaced as Record<string, number>);
        fc.pre(expected !== undefined);
        // The symbols that are replaced may get values outside their bounds, which simplifications rely on.
        fc.pre(
          ["seq", "past"].every((name) => {
            const value = replaced[name as "seq"]!;
            return value >= bounds[name]![0] && value <= bounds[name]![1];
          }),
        );
        const by = new Map(Object.entries(meaning).map(([name, each]) => [name, build(each)]));
        expect(evaluateDim(substituteDim(build(e), by), asMap(of))).toBe(expected);
      }),
      runs,
    );
  });

  test("compare only as their values do", () => {
    fc.assert(
      fc.property(expression, expression, values, (a, b, of) => {
        const [p, q] = [compute(a, of), compute(b, of)];
        fc.pre(p !== undefined && q !== undefined);
        const [x, y] = [build(a), build(b)];
        if (isAtLeast(x, y)) expect(p).toBeGreaterThanOrEqual(q);
        if (areDifferent(x, y)) expect(p).not.toBe(q);
        if (sameDim(x, y)) expect(p).toBe(q);
      }),
      runs,
    );
  });

  test("are one for equal polynomials, however they were built", () => {
    fc.assert(
      fc.property(expression, expression, expression, (e, f, g) => {
        const [a, b, c] = [build(e), build(f), build(g)];
        const pairs: readonly (readonly [Dim, Dim])[] = [
          [addDims(a, b), addDims(b, a)],
          [addDims(addDims(a, b), c), addDims(a, addDims(b, c))],
          [multiplyDims(a, b), multiplyDims(b, a)],
          [multiplyDims(a, addDims(b, c)), addDims(multiplyDims(c, a), multiplyDims(b, a))],
          [subtractDims(addDims(a, b), b), a],
          [maxDims(a, b), maxDims(b, a)],
          [minDims(a, b), minDims(b, a)],
        ];
        for (const [x, y] of pairs) expect(dimKey(x)).toBe(dimKey(y));
      }),
      runs,
    );
  });

  test("divide exactly by a product that they are a multiple of", () => {
    const factor = fc
      .tuple(fc.integer({ min: -6, max: 6 }), fc.array(fc.constantFrom(...symbols.keys()), { maxLength: 2 }))
      .map(([coefficient, names]) => productOf([coefficient, ...names.map(lookup)]))
      .filter((size) => !sameDim(size, 0));
    fc.assert(
      fc.property(expression, factor, (e, by) => {
        const size = build(e);
        const multiple = multiplyDims(size, by);
        expect(floorDivideDims(multiple, by)).toEqual(size);
        expect(moduloDims(multiple, by)).toBe(0);
      }),
      runs,
    );
  });

  test("round up when divided so", () => {
    fc.assert(
      fc.property(expression, fc.integer({ min: 1, max: 9 }), values, (e, by, of) => {
        const value = compute(e, of);
        fc.pre(value !== undefined);
        expect(evaluateDim(ceilDivideDims(build(e), by), asMap(of))).toBe(Math.ceil(value / by) + 0);
      }),
      runs,
    );
  });
});

const [seq, past, signed] = ["seq", "past", "signed"].map(lookup) as [Dim, Dim, Dim];

test.each<[Dim, string]>([
  [addDims(past, addDims(multiplyDims(2, seq), 1)), "past + 2*seq + 1"],
  [subtractDims(-3, multiplyDims(seq, past)), "-past*seq - 3"],
  [multiplyDims(addDims(seq, 1), subtractDims(seq, 1)), "seq*seq - 1"],
  [floorDivideDims(addDims(multiplyDims(6, seq), 4), 2), "3*seq + 2"],
  [floorDivideDims(addDims(seq, 1), 2), "floordiv(seq + 1, 2)"],
  [moduloDims(past, seq), "mod(past, seq)"],
  [maxDims(7, past), "7"],
  [maxDims(3, past), "max(past, 3)"],
  [minDims(seq, past), "min(past, seq)"],
  [minDims(8, seq), "seq"],
  [subtractDims(seq, seq), "0"],
])("a size is written as its normal form, row %#", (size, text) => {
  expect(dimKey(size)).toBe(text);
});

test("a symbol is unbounded unless it is said to be bounded", () => {
  const size = symbol("n");
  expect([minOf(size), maxOf(size)]).toEqual([0, unboundedDim]);
  expect(isSymbolic(size)).toBe(true);
});

test.each<[string, Dim, number, number]>([
  ["a product of numbers of either sign", multiplyDims(signed, signed), -20, 25],
  ["a difference", subtractDims(past, seq), -8, 5],
  ["a quotient", floorDivideDims(addDims(past, 9), seq), 1, 15],
  ["a quotient by a number of either sign", floorDivideDims(past, signed), -6, 6],
  ["a remainder by a number of either sign", moduloDims(past, signed), -4, 3],
])("bounds of %s", (_, size, min, max) => {
  expect([minOf(size), maxOf(size)]).toEqual([min, max]);
});

test("numbers stay numbers, and none is negative zero", () => {
  for (const { symbolic } of operations)
    for (const a of [-3, 0, 3])
      for (const b of [-3, 0, 3]) {
        const result = symbolic(a, b);
        expect(typeof result).toBe("number");
        expect(Object.is(result, -0)).toBe(false);
      }
});

test("a product of thousands of terms is refused", () => {
  const sum = (name: string) =>
    Array.from({ length: 100 }, (_, i) => symbol(`${name}${i}`)).reduce<Dim>(addDims, 0);
  expect(() => multiplyDims(sum("a"), sum("b"))).toThrow(RangeError);
});

describe("parsing", () => {
  test.each<[string, string | undefined]>([
    ["past + seq", "past + seq"],
    ["2*(seq - -3)*past", "6*past + 2*past*seq"],
    ["(seq + 3) // 4", "floordiv(seq + 3, 4)"],
    ["- seq", "-seq"],
    ["max(seq, min(past, 3), 4)", undefined],
    ["max(seq)", undefined],
    ["power(seq, 2)", undefined],
    ["toString(seq, 2)", undefined],
    ["2 seq", undefined],
    ["seq / 2", undefined],
    ["(seq", undefined],
    ["seq +", undefined],
    ["", undefined],
    ["1.5", undefined],
  ])("%s", (text, expected) => {
    const size = parseDim(text, lookup);
    expect(size === undefined ? undefined : dimKey(size)).toBe(expected);
  });

  test("takes a function's name for a symbol where nothing follows it", () => {
    const size = parseDim("max(max, 3)", (name) => symbol(name));
    expect(dimKey(size!)).toBe("max(max, 3)");
    expect([...symbolsOf(size!)]).toEqual(["max"]);
  });

  test("lets other errors of the lookup through", () => {
    expect(() =>
      parseDim("seq", () => {
        throw new TypeError("no");
      }),
    ).toThrow(TypeError);
  });
});

describe("symbols of a size", () => {
  const size = addDims(maxDims(floorDivideDims(seq, 3), past), moduloDims(signed, 2));

  test("are found inside functions, with their bounds", () => {
    expect([...symbolsOf(size)].sort()).toEqual(["past", "seq", "signed"]);
    expect(symbolBounds(size).get("signed")).toEqual({ min: -5, max: 4 });
  });

  test("are named when one of them has no value", () => {
    const known = new Map([["seq", 4]]);
    expect(() => evaluateDim(size, known)).toThrow(
      new RangeError(`size ${dimKey(size)} needs a value for past, signed`),
    );
  });

  test("are replaced all at once", () => {
    const swapped = substituteDim(
      subtractDims(seq, multiplyDims(2, past)),
      new Map([
        ["seq", past],
        ["past", addDims(seq, past)],
      ]),
    );
    expect(dimKey(swapped)).toBe("-past - 2*seq");
  });
});
