import { type Dim, parseDim, symbol } from "../tensor/dim.ts";
import { isDType } from "../tensor/dtype.ts";
import { elementCount, tensor } from "../tensor/tensor.ts";
import { Graph, type Value } from "./graph.ts";
import type { OpRegistry } from "./ops/index.ts";
import type { AttrValue } from "./ops/op.ts";
import { formatType, sameType, type TensorType } from "./type.ts";
import { inlineWeight, type WeightRef } from "./weights.ts";

/** JSON as `print` writes it: numbers that JSON lacks are text. */
const parseAttrs = (text: string): Record<string, AttrValue> =>
  JSON.parse(text, (_, value) => {
    if (typeof value !== "string" || !value.startsWith("@")) return value;
    return value.startsWith("@number ") ? Number(value.slice(8)) : value.slice(1);
  });

/** A place in the model and the rules since, plain or in quotes, with ` < ` between them. */
const parsePlace = (text: string): string[] =>
  Array.from(text.matchAll(/"(?:[^"\\]|\\.)*"|[^\s"<]+/gs), ([item]) =>
    item.startsWith('"') ? JSON.parse(item) : item,
  );

/** Also what JSON lacks: NaN and the infinities. */
function parseNumber(text: string): number {
  const number = Number(text);
  if (text === "" || (Number.isNaN(number) && text !== "NaN")) throw new SyntaxError(`not a number: ${text}`);
  return number;
}

/**
 * Reads a graph back from its text.
 * @param weights finds the constants that the text only names, by their id
 * @throws SyntaxError naming the line
 */
export function parseGraph(
  text: string,
  ops: OpRegistry,
  weights: (id: string) => WeightRef | undefined,
): Graph {
  const graph = new Graph(ops);
  const plain = graph.edit("parse");
  const values = new Map<string, Value>();
  const symbols = new Map<string, Dim>();
  const lookup = (name: string): Dim => {
    const found = symbols.get(name);
    if (found === undefined) throw new SyntaxError(`no symbol ${name}`);
    return found;
  };
  const dims = (list: string): Dim[] =>
    splitList(list).map((item) => {
      const dim = parseDim(item, lookup);
      if (dim === undefined) throw new SyntaxError(`not a size: ${item}`);
      return dim;
    });
  const type = (source: string): TensorType => {
    const match = /^(\w+)\[(.*)\]$/.exec(source.trim());
    if (!match || !isDType(match[1]!)) throw new SyntaxError(`not a type: ${source}`);
    return { dtype: match[1] as TensorType["dtype"], shape: dims(match[2]!) };
  };
  const requireTypes = (stated: string, values: readonly { readonly type: TensorType }[]): void => {
    const types = splitList(stated).map(type);
    if (types.length !== values.length || !types.every((each, i) => sameType(each, values[i]!.type)))
      throw new SyntaxError(`is ${values.map((each) => formatType(each.type)).join(", ")}, not ${stated}`);
  };
  const value = (name: string): Value => {
    const found = values.get(name.trim());
    if (found === undefined) throw new SyntaxError(`no value ${name}`);
    return found;
  };
  /** The kinds of lines, by their shape. */
  const kinds: readonly (readonly [RegExp, (...groups: (string | undefined)[]) => void])[] = [
    [
      /^symbol (\S+) (-?\d+)\.\.(-?\d+)$/,
      (name, min, max) => symbols.set(name!, symbol(name!, Number(max), Number(min))),
    ],
    [/^output ("(?:[^"\\]|\\.)*") (%\d+)$/, (name, of) => plain.output(JSON.parse(name!), value(of!))],
    [
      /^(%\d+) = (input|state) ("(?:[^"\\]|\\.)*")(?: = \[(.*?)\])? : (.*)$/,
      (id, kind, name, contents, of) => {
        const label = JSON.parse(name!) as string;
        const known = contents === undefined ? undefined : dims(contents);
        values.set(
          id!,
          kind === "input" ? plain.input(label, type(of!), known) : plain.state(label, type(of!)),
        );
      },
    ],
    [
      /^(%\d+) = dims \[(.*)\] : (.*)$/,
      (id, sizes, of) => {
        const list = dims(sizes!);
        values.set(id!, plain.dims(type(of!).shape.length === 0 ? list[0]! : list));
      },
    ],
    [
      /^(%\d+) = const (\w+\[.*?\]) \{(.*)\}$/,
      (id, of, elements) => {
        const { dtype, shape } = type(of!);
        const numbers = splitList(elements!).map(parseNumber);
        if (numbers.length !== elementCount(shape as number[]))
          throw new SyntaxError(`${numbers.length} elements do not fill ${of}`);
        values.set(id!, plain.constant(inlineWeight(tensor(dtype, shape as number[], numbers))));
      },
    ],
    [
      /^(%\d+) = const @("(?:[^"\\]|\\.)*") : (.*)$/,
      (id, name, of) => {
        const ref = weights(JSON.parse(name!));
        if (ref === undefined) throw new SyntaxError(`no weight ${name}`);
        const constant = plain.constant(ref);
        requireTypes(of!, [constant]);
        values.set(id!, constant);
      },
    ],
    [
      // Types hold no quotes and braces, a place holds braces in quotes only: the last `} : ` ends the attributes.
      /^(%\d+(?:, %\d+)*) = ([^\s(]+)\(([^()]*)\)(?: (\{.*\}))? : ([^{}"#]*?)(?: {2}# (.*))?$/s,
      (ids, op, argList, attrs, types, place) => {
        const args: Record<string, Value | Value[]> = {};
        for (const [, name, list, single] of argList!.matchAll(/(\w+): (?:\[(.*?)\]|(%\d+))/g))
          args[name!] = single === undefined ? splitList(list!).map(value) : value(single);
        const [source = "", ...by] = parsePlace(place ?? "");
        const results = plain.untyped(op!, args, attrs === undefined ? {} : parseAttrs(attrs));
        requireTypes(types!, results);
        results[0]!.node!.setLoc({ source, by });
        for (const [i, id] of ids!.split(", ").entries()) values.set(id, results[i]!);
      },
    ],
  ];
  const define = (line: string): void => {
    for (const [shape, read] of kinds) {
      const match = shape.exec(line);
      if (match === null) continue;
      read(...match.slice(1));
      return;
    }
    throw new SyntaxError("not a line of a graph");
  };
  text.split("\n").forEach((line, index) => {
    if (line.trim() === "") return;
    try {
      define(line);
    } catch (error) {
      throw new SyntaxError(`line ${index + 1}: ${(error as Error).message}`);
    }
  });
  return graph;
}

/** Splits at commas outside parentheses and brackets. */
function splitList(text: string): string[] {
  const items: string[] = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "(" || text[i] === "[") depth++;
    else if (text[i] === ")" || text[i] === "]") depth--;
    else if (text[i] === "," && depth === 0) {
      items.push(text.slice(from, i).trim());
      from = i + 1;
    }
  }
  const last = text.slice(from).trim();
  return last === "" ? items : [...items, last];
}
