import { attrsText, listText, placeText, shownElements } from "../../ir/print.ts";
import { formatType } from "../../ir/type.ts";
import { numberText } from "../../ir/weights.ts";
import type { ProgramConstant, ProgramGraph, ProgramNode } from "../../runtime/graph.ts";
import { symbolBounds } from "../../tensor/dim.ts";
import { LineWriter, type ListedLine, type Listing } from "./listing.ts";

/** The graph of bitnetc's own delegate, in the form of `printGraph`: a weight is the key of its data. */
export function listOwn(graph: ProgramGraph): Listing {
  const typeOf = (index: number): string => formatType(graph.values[index]!);
  const constants = new Set(graph.constants.map(({ value }) => value));
  const describe = (index: number): string => `${constants.has(index) ? "const " : ""}${typeOf(index)}`;
  const writer = () => new LineWriter(describe);
  const leaf = (value: number, text: string): ListedLine => writer().note(`%${value} = `).add(text).line();
  const symbols = new Map<string, { min: number; max: number }>();
  for (const { shape } of graph.values) for (const dim of shape) symbolBounds(dim, symbols);
  return {
    inputs: [...graph.inputs, ...graph.states].map(({ value }) => value),
    values: [
      ...[...symbols]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, { min, max }]) => writer().add(`symbol ${name} ${min}..${max}`).line()),
      ...graph.inputs.map(({ name, value, contents }) => {
        const known = contents ? ` = ${listText(contents)}` : "";
        return leaf(value, `input ${JSON.stringify(name)}${known} : ${typeOf(value)}`);
      }),
      ...graph.states.map(({ name, value }) =>
        leaf(value, `state ${JSON.stringify(name)} : ${typeOf(value)}`),
      ),
      ...graph.dims.map(({ value, sizes }) => leaf(value, `dims ${listText(sizes)} : ${typeOf(value)}`)),
      ...graph.constants.map((constant) =>
        leaf(constant.value, constantText(constant, typeOf(constant.value))),
      ),
    ],
    calls: [
      ...graph.nodes.map((node) => nodeLine(node, writer(), typeOf)),
      ...graph.outputs.map(({ name, value }) =>
        writer()
          .add(`output ${JSON.stringify(name)} `)
          .value(value)
          .line(),
      ),
    ],
  };
}

function constantText(constant: ProgramConstant, type: string): string {
  if ("key" in constant) return `const @${JSON.stringify(constant.key)} : ${type}`;
  const { data } = constant.inline;
  const elements = Array.from(data.subarray(0, shownElements), (value) => numberText(Number(value)));
  return `const ${type} {${elements.join(", ")}${data.length > shownElements ? ", …" : ""}}`;
}

function nodeLine(
  { op, args, attrs, results, source }: ProgramNode,
  line: LineWriter,
  typeOf: (index: number) => string,
): ListedLine {
  line.note(`${results.map((result) => `%${result}`).join(", ")} = `).add(`${op}(`);
  line.list(Object.entries(args), ([name, arg]) => {
    line.add(`${name}: `);
    if (typeof arg === "number") line.value(arg);
    else {
      line.add("[").list(arg, (item) => line.value(item));
      line.add("]");
    }
  });
  line.add(")").add(Object.keys(attrs).length === 0 ? "" : ` ${attrsText(attrs)}`);
  line.add(` : ${results.map(typeOf).join(", ")}`);
  return line.note(source === "" ? "" : `  # ${placeText(source)}`).line(op);
}
