import { z } from "zod";
import { BitnetcError, type Diagnostic } from "../../errors.ts";
import { parseJson } from "../../frontend/json-file.ts";
import type { Sizes } from "../../index.ts";
import { delegateId } from "../../serialize/delegate.ts";
import { describeProgram } from "../../serialize/describe-program.ts";
import { type OpenProgram, openProgram } from "../../serialize/open-program.ts";
import type { ProgramMethod } from "../../serialize/program.ts";
import { readProgram } from "../../serialize/program-reader.ts";
import type { Source } from "../../tensor/source.ts";
import type { Inspection } from "../commands/inspect.ts";
import { countNames, formatBytes, formatCounts, formatTable, sizeRows } from "../format.ts";

/** What a program file holds, whoever wrote it. Of bitnetc's own, also what its delegate's graph is made of. */
export async function inspectProgram(source: Source): Promise<Inspection> {
  const file = await readProgram(source);
  const tables = describeProgram(file);
  const isOwn = file.delegates.some(({ id }) => id === delegateId);
  const program = isOwn ? await openProgram(source) : undefined;
  const own = program && (await describeOwn(program));
  const json = {
    kind: "program",
    ...own,
    constants: Object.fromEntries(file.constants),
    delegates: file.delegates.map(({ id, method, data }) => ({ id, method, bytes: data.size })),
    namedData: [...file.namedData].map(([key, { size }]) => ({
      key,
      bytes: size,
      ...(program && { sha256: program.blobs.get(key)?.sha256 }),
    })),
    methods: tables.methods.filter(({ name }) => !file.constants.has(name)).map(describeMethod),
    tables,
  };
  const segmentBytes = tables.segments.reduce((sum, { size }) => sum + size, 0);
  const text =
    `${source.name}: ExecuTorch program, ${formatBytes(source.size)}\n` +
    formatTable([
      ["segments", `${tables.segments.length}, ${formatBytes(segmentBytes)}`],
      ...(own === undefined ? [] : ownRows(own)),
    ]) +
    section(
      "methods",
      json.methods.map((method) => [method.name, methodText(method)]),
    ) +
    section(
      "constant methods",
      Object.entries(json.constants).map(([name, value]) => [name, String(value)]),
    ) +
    section(
      "delegates",
      json.delegates.map(({ id, method, bytes }) => [id, `of ${method}, ${formatBytes(bytes)}`]),
    ) +
    section(
      "named data",
      json.namedData.map(({ key, bytes }) => [key, formatBytes(bytes)]),
    );
  return { json, text };
}

interface OwnDescription {
  /** Op name → count in the graph after the stateful phase. */
  readonly ops: Readonly<Record<string, number>>;
  readonly sizes: Sizes | undefined;
  /** Op name → count in the graph as it is run. */
  readonly executedOps: Readonly<Record<string, number>>;
}

/** What the compiler noted in the program, and what its graph says. */
async function describeOwn(program: OpenProgram): Promise<OwnDescription> {
  const executedOps = countNames(program.graph.nodes.map(({ op }) => op));
  const noted = await readReport(program);
  return { ops: noted?.ops ?? executedOps, sizes: noted?.sizes, executedOps };
}

const size = z.number().nonnegative();
const reportSchema = z.object({
  ops: z.record(z.string(), size),
  sizes: z
    .object({
      ...{ ternary: size, embedding: size, norm: size, other: size, total: size },
      bitsPerTernaryWeight: size,
    })
    .optional(),
});

/** @throws BitnetcError naming every field that is not as the compiler writes it */
async function readReport(program: OpenProgram): Promise<z.output<typeof reportSchema> | undefined> {
  const name = "report.json";
  if (!program.blobs.has(name)) return undefined;
  const text = new TextDecoder().decode(await program.blob(name));
  const faults: Diagnostic[] = [];
  const report = parseJson(name, text, reportSchema, faults);
  if (report === undefined) throw new BitnetcError(faults);
  return report;
}

function ownRows({ ops, sizes }: OwnDescription): (readonly [string, string])[] {
  const rows: (readonly [string, string])[] = [["ops", formatCounts(ops)]];
  return sizes === undefined ? rows : [...rows, ...sizeRows(sizes)];
}

const section = (title: string, rows: readonly (readonly [string, string])[]): string =>
  rows.length === 0 ? "" : `${title}\n${formatTable(rows)}`;

interface MethodDescription {
  readonly name: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Kernels that it calls, by operator. */
  readonly kernels: Readonly<Record<string, number>>;
}

function describeMethod({
  name,
  values,
  inputs,
  outputs,
  operators,
  chains,
}: ProgramMethod): MethodDescription {
  const describe = (index: number): string => {
    const value = values[index]!;
    if (value.type !== "Tensor") return value.type;
    const bound = value.dynamism === "STATIC" ? "" : "<=";
    const label = value.extra?.name ? `${value.extra.name}: ` : "";
    return `${label}${String(value.scalarType).toLowerCase()} [${value.sizes.map((size) => (size === 1 ? size : `${bound}${size}`)).join(", ")}]`;
  };
  const calls = chains.flatMap(({ instructions }) =>
    instructions.flatMap((instruction) =>
      instruction.type === "KernelCall" ? [operators[instruction.operator]!] : [],
    ),
  );
  return {
    name,
    inputs: inputs.map(describe),
    outputs: outputs.map(describe),
    kernels: countNames(
      calls.map(({ name: operator, overload }) => (overload === "" ? operator : `${operator}.${overload}`)),
    ),
  };
}

function methodText({ inputs, outputs, kernels }: MethodDescription): string {
  const signature = `(${inputs.join(", ")}) -> ${outputs.join(", ")}`;
  return Object.keys(kernels).length === 0 ? signature : `${signature}; kernels: ${formatCounts(kernels)}`;
}
