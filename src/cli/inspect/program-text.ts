import { formatBytes, formatCounts, formatTable, sizeRows } from "../format.ts";
import { cutLines, printable } from "./listing.ts";
import type { PlannedBuffer } from "./memory.ts";
import { listMethod } from "./method-listing.ts";
import { planText } from "./plan-listing.ts";
import { type MethodDescription, type OwnDescription, opCounts } from "./program.ts";
import type { DelegateView, ProgramView } from "./program-view.ts";

/** Bytes of segments. One may lie within another, and counts once. */
function coveredBytes(segments: ProgramView["tables"]["segments"]): number {
  let [end, sum] = [0, 0];
  for (const { offset, size } of [...segments].sort((a, b) => a.offset - b.offset)) {
    sum += Math.max(0, offset + size - Math.max(end, offset));
    end = Math.max(end, offset + size);
  }
  return sum;
}

/** A program for people. Long lists are cut, unless all is to be shown. */
export function programText(
  view: ProgramView,
  methods: readonly MethodDescription[],
  own: OwnDescription | undefined,
  showsAll: boolean,
): string {
  const { file, tables, delegates, namedData, constantData, memory } = view;
  const { header, segments } = tables;
  const list = (title: string, lines: readonly string[], indent = ""): string =>
    lines.length === 0 ? "" : `${indent}${title}\n${cutLines(lines, showsAll, `${indent}  `)}`;
  const rows = (title: string, table: readonly (readonly [string, string])[], indent?: string): string => {
    const width = Math.max(0, ...table.map(([name]) => name.length));
    const lines = table.map(([name, value]) => `${name.padEnd(width)}  ${oneLine(value)}`);
    return list(title, lines, indent);
  };
  const methodParts = tables.methods.flatMap((method, i) => {
    if (file.constants.has(method.name)) return [];
    const { values, calls } = listMethod(method);
    return [
      `method ${printable(method.name)}\n`,
      list(
        `values: ${values.length}`,
        values.map(({ text }) => text),
        "  ",
      ),
      list(
        `instructions: ${calls.length}`,
        calls.map(({ text }, at) => `${at}: ${text}`),
        "  ",
      ),
      ...memory[i]!.filter(({ bytes, tensors }) => bytes > 0 || tensors.length > 0).map((buffer) =>
        list(bufferTitle(buffer), bufferLines(buffer), "  "),
      ),
    ];
  });
  const delegateParts = delegates.map(
    (delegate) =>
      `delegate ${printable(`${delegate.id} of ${delegate.method}`)}\n` +
      rows(
        "compile specs",
        delegate.specs.map(({ key, value }) => [key, specText(value)]),
        "  ",
      ) +
      graphText(delegate, list),
  );
  return [
    `${file.source.name}: ExecuTorch program, ${formatBytes(file.source.size)}\n`,
    formatTable([
      ["version", String(tables.version)],
      ["header", headerText(header)],
      ["segments", `${segments.length}, ${formatBytes(coveredBytes(segments))}`],
      ...(own === undefined
        ? []
        : [["ops", formatCounts(own.ops)] as const, ...(own.sizes === undefined ? [] : sizeRows(own.sizes))]),
    ]),
    rows(
      "methods",
      methods.map((method) => [method.name, methodText(method)]),
    ),
    rows(
      "constant methods",
      [...file.constants].map(([name, value]) => [name, String(value)]),
    ),
    rows(
      "delegates",
      delegates.map(({ id, method, data, location, index }) => [
        id,
        `of ${method}, ${formatBytes(data.size)}, ${location === "INLINE" ? "inline" : "segment"} ${index}`,
      ]),
    ),
    rows(
      "named data",
      namedData.map(({ key, bytes, sha256 }) => [key, `${formatBytes(bytes)}, SHA-256 ${sha256}`]),
    ),
    rows(
      "constants",
      constantData.map(({ index, kind, segment, offset, bytes, tensors }) => [
        String(index),
        `${kind}, segment ${segment} at ${offset}${bytes === null ? "" : `, ${formatBytes(bytes)}`}${tensors.map(({ method, value }) => `, %${value} of ${method}`).join("")}`,
      ]),
    ),
    rows(
      "inline constants",
      tables.inlineConstants.map((bytes, i) => [String(i), formatBytes(bytes)]),
    ),
    rows(
      "segments",
      segments.map(({ offset, size }, i) => [String(i), `at ${offset}, ${formatBytes(size)}`]),
    ),
    ...methodParts,
    ...delegateParts,
  ].join("");
}

/** A chat template, say, in quotes. */
const oneLine = (text: string): string => (text.includes("\n") ? JSON.stringify(text) : text);

const headerText = (header: ProgramView["tables"]["header"]): string =>
  header === null
    ? "none"
    : `${formatBytes(header.programSize)} of tables, segments at ${header.segmentBase}${header.segmentDataSize === undefined ? "" : `, ${formatBytes(header.segmentDataSize)} of them`}`;

export function methodText({ inputs, outputs, kernels }: MethodDescription): string {
  const signature = `(${inputs.join(", ")}) -> ${outputs.join(", ")}`;
  return Object.keys(kernels).length === 0 ? signature : `${signature}; kernels: ${formatCounts(kernels)}`;
}

const bufferTitle = ({ memory, bytes, device, tensors }: PlannedBuffer): string =>
  `planned buffer ${memory}: ${formatBytes(bytes)}${device === "CPU" ? "" : ` on ${device}`}, ${tensors.length} tensors`;

const bufferLines = ({ tensors }: PlannedBuffer): readonly string[] =>
  tensors.map(
    ({ value, offset, bytes }) => `at ${offset}: %${value}${bytes === null ? "" : `, ${bytes} bytes`}`,
  );

/** The bytes of a compile spec, and the text that they are if they are text. */
function specText(hex: string): string {
  const text = (hex.match(/../g) ?? [])
    .map((pair) => String.fromCharCode(Number.parseInt(pair, 16)))
    .join("");
  if (text !== "" && /^[ -~]*$/.test(text)) return JSON.stringify(text);
  return hex === "" ? "empty" : `0x${hex}`;
}

function graphText(
  { contents, problem }: DelegateView,
  list: (title: string, lines: readonly string[], indent?: string) => string,
): string {
  if (problem !== undefined) return `  not readable: ${printable(problem.message)}\n`;
  if (contents === undefined) return "  of a kind that is not read here\n";
  const { listing, vulkanHeader, plan } = contents;
  const layout =
    vulkanHeader === undefined
      ? ""
      : `  graph at ${vulkanHeader.graphOffset}, ${formatBytes(vulkanHeader.graphSize)}; constants at ${vulkanHeader.constantsOffset}, ${formatBytes(vulkanHeader.constantsSize)}\n`;
  return (
    `${layout}  ops: ${printable(formatCounts(opCounts(listing))) || "none"}\n` +
    list(
      `values: ${listing.values.length}`,
      listing.values.map(({ text }) => text),
      "  ",
    ) +
    list(
      `calls: ${listing.calls.length}`,
      listing.calls.map(({ text }) => text),
      "  ",
    ) +
    (plan === undefined ? "" : planText(plan, (title, lines) => list(title, lines, "  ")))
  );
}
