import { formatDiagnostic } from "../../errors.ts";
import type { FlatbufferJson } from "../../serialize/flatbuffer-json.ts";
import type { ByteRange, Source } from "../../tensor/source.ts";
import { byteRange } from "../../tensor/source.ts";
import type { Inspection } from "../commands/inspect.ts";
import { jsonText } from "../json-text.ts";
import { alignLists } from "./align.ts";
import { diffText } from "./diff-text.ts";
import type { ListedLine, Listing } from "./listing.ts";
import { listMethod, operatorName } from "./method-listing.ts";
import { describeMethods, opCounts } from "./program.ts";
import { methodText } from "./program-text.ts";
import { type DelegateView, type ProgramView, rangeHasher, viewProgram } from "./program-view.ts";

/** One thing that one program has, or has otherwise. What is added has no `before`, what is removed no `after`. */
export interface Difference {
  /** The part of the program that it is in. */
  readonly part: string;
  /** What differs: a name, or the place in a list, in the second program where it is there. */
  readonly what: string;
  readonly before?: string;
  readonly after?: string;
}

type RangeHasher = ReturnType<typeof rangeHasher>;
type Facts = ReadonlyMap<string, string>;

/** What differs between two programs. */
export async function diffPrograms(before: Source, after: Source, showsAll: boolean): Promise<Inspection> {
  const [a, b] = [await viewProgram(before), await viewProgram(after)];
  const differences = await compare(a, b);
  const warnings = [...a.warnings, ...b.warnings];
  const files = [a, b].map(({ file: { source } }) => ({ name: source.name, size: source.size }));
  return {
    json: () => ({ kind: "diff", files, equal: differences.length === 0, differences, warnings }),
    text: () => diffText([files[0]!, files[1]!], differences, showsAll),
    warnings,
  };
}

async function compare(a: ProgramView, b: ProgramView): Promise<readonly Difference[]> {
  const hashes = [rangeHasher(), rangeHasher()] as const;
  const found = [
    ...compareFacts("file", fileFacts(a), fileFacts(b)),
    ...compareFacts("methods", methodFacts(a), methodFacts(b)),
    ...pairs(methodsByName(a), methodsByName(b)).flatMap(([name, one, other]) =>
      compareMethods(`method ${name}`, a, b, one, other),
    ),
    ...compareFacts("delegates", await delegateFacts(a, hashes[0]), await delegateFacts(b, hashes[1])),
    ...pairs(delegatesByName(a), delegatesByName(b)).flatMap(([name, one, other]) =>
      compareDelegates(`delegate ${name}`, one, other),
    ),
    ...compareFacts("named data", dataFacts(a), dataFacts(b)),
    ...compareLines("constants", await constantLines(a, hashes[0]), await constantLines(b, hashes[1])),
  ];
  // Lists are compared by what stands in them, not by numbers: what else may differ is found in the tables.
  if (found.length > 0) return found;
  return [
    ...compareTables("program", a.program(), b.program()),
    ...compareFacts("segments", await segmentFacts(a, hashes[0]), await segmentFacts(b, hashes[1])),
  ];
}

function compareFacts(part: string, a: Facts, b: Facts): readonly Difference[] {
  return [...new Set([...a.keys(), ...b.keys()])].flatMap((what) =>
    a.get(what) === b.get(what) ? [] : [difference(part, what, a.get(what), b.get(what))],
  );
}

const difference = (
  part: string,
  what: string,
  before: string | undefined,
  after: string | undefined,
): Difference => ({
  part,
  what,
  ...(before === undefined ? {} : { before }),
  ...(after === undefined ? {} : { after }),
});

/** What both have. */
const pairs = <T>(
  a: ReadonlyMap<string, T>,
  b: ReadonlyMap<string, T>,
): readonly (readonly [string, T, T])[] =>
  [...a].flatMap(([name, one]) => (b.has(name) ? [[name, one, b.get(name)!] as const] : []));

const fileFacts = ({ tables }: ProgramView): Facts =>
  new Map([
    ["size", String(tables.file.size)],
    ["version", String(tables.version)],
    ["header", tables.header === null ? "none" : "there"],
    ...Object.entries(tables.header ?? {}).map(
      ([field, value]) => [`header ${field}`, String(value)] as const,
    ),
    ["segments", String(tables.segments.length)],
  ]);

/** Signatures, and what constant methods return. */
const methodFacts = (view: ProgramView): Facts =>
  new Map([
    ...view.tables.methods.map(({ name }) => [name, ""] as const),
    ...describeMethods(view).map((method) => [method.name, methodText({ ...method, kernels: {} })] as const),
    ...[...view.file.constants].map(([name, value]) => [name, JSON.stringify(value)] as const),
  ]);

const methodsByName = ({ tables }: ProgramView): ReadonlyMap<string, number> =>
  new Map(tables.methods.map(({ name }, i) => [name, i]));

function compareMethods(
  part: string,
  a: ProgramView,
  b: ProgramView,
  one: number,
  other: number,
): readonly Difference[] {
  const [first, second] = [a.tables.methods[one]!, b.tables.methods[other]!];
  const operators = (method: typeof first): Facts =>
    new Map(method.operators.map((operator) => [operatorName(operator), "there"]));
  const buffers = ({ memory }: ProgramView, at: number): Facts =>
    new Map(memory[at]!.map(({ memory: number, bytes }) => [`buffer ${number}`, `${bytes} bytes`]));
  return [
    ...compareFacts(`${part}, operators`, operators(first), operators(second)),
    ...compareFacts(`${part}, planned memory`, buffers(a, one), buffers(b, other)),
    ...compareListings(part, listMethod(first), listMethod(second), "instructions"),
  ];
}

/** By the backend and the method, and a number where there are several. */
function delegatesByName({ delegates }: ProgramView): ReadonlyMap<string, DelegateView> {
  const byName = new Map<string, DelegateView>();
  for (const delegate of delegates) {
    const name = `${delegate.id} of ${delegate.method}`;
    let number = 1;
    while (byName.has(number === 1 ? name : `${name} ${number}`)) number++;
    byName.set(number === 1 ? name : `${name} ${number}`, delegate);
  }
  return byName;
}

async function delegateFacts(view: ProgramView, hash: RangeHasher): Promise<Facts> {
  const facts = new Map<string, string>();
  for (const [name, delegate] of delegatesByName(view)) {
    facts.set(name, `${delegate.data.size} bytes, SHA-256 ${await hash(delegate.data)}`);
    for (const { key, value } of delegate.specs)
      if (delegate.contents?.own === undefined) facts.set(`${name}, compile spec ${key}`, `0x${value}`);
    if (delegate.problem !== undefined) facts.set(`${name}, graph`, formatDiagnostic(delegate.problem));
  }
  return facts;
}

function compareDelegates(part: string, a: DelegateView, b: DelegateView): readonly Difference[] {
  if (a.contents === undefined || b.contents === undefined) return [];
  const [one, other] = [a.contents.listing, b.contents.listing];
  const counts = (listing: Listing): Facts =>
    new Map(Object.entries(opCounts(listing)).map(([op, count]) => [op, String(count)]));
  const found = [
    ...compareFacts(`${part}, op counts`, counts(one), counts(other)),
    ...compareListings(part, one, other, "calls"),
  ];
  return found.length > 0 ? found : compareTables(part, a.contents.graph, b.contents.graph);
}

function compareListings(part: string, a: Listing, b: Listing, calls: string): readonly Difference[] {
  const wired = wiredAlike(a, b, alignLines(a.calls, b.calls));
  return [
    ...compareLines(`${part}, values`, a.values, b.values),
    ...compareLines(`${part}, ${calls}`, a.calls, b.calls, wired),
  ];
}

type Pairs = readonly (readonly [number, number])[];

/** What of two lists is not paired. */
function compareLines(
  part: string,
  a: readonly ListedLine[],
  b: readonly ListedLine[],
  pairs: Pairs = alignLines(a, b),
): readonly Difference[] {
  const found: Difference[] = [];
  let [i, j] = [0, 0];
  for (const [one, other] of [...pairs, [a.length, b.length] as const]) {
    for (; i < one; i++) found.push({ part, what: String(i), before: a[i]!.text });
    for (; j < other; j++) found.push({ part, what: String(j), after: b[j]!.text });
    [i, j] = [one + 1, other + 1];
  }
  return found;
}

/** Pairs what is the same, and between that what is but for what its values are: they are listed themselves. */
function alignLines(a: readonly ListedLine[], b: readonly ListedLine[]): Pairs {
  const align = (one: readonly ListedLine[], other: readonly ListedLine[], by: "key" | "form"): Pairs =>
    alignLists(
      one.map((line) => line[by]),
      other.map((line) => line[by]),
    );
  const pairs: (readonly [number, number])[] = [];
  let [i, j] = [0, 0];
  for (const [one, other] of [...align(a, b, "key"), [a.length, b.length] as const]) {
    for (const [x, y] of align(a.slice(i, one), b.slice(j, other), "form")) pairs.push([i + x, j + y]);
    if (one < a.length) pairs.push([one, other]);
    [i, j] = [one + 1, other + 1];
  }
  return pairs;
}

/** Leaves the pairs of calls that are wired alike: each value of one list is one and the same of the other. */
function wiredAlike(a: Listing, b: Listing, pairs: Pairs): Pairs {
  const partner = new Map<number, number>();
  const owner = new Map<number, number>();
  const isSame = (one: number, other: number): boolean => {
    if (!partner.has(one) && !owner.has(other)) {
      partner.set(one, other);
      owner.set(other, one);
    }
    return partner.get(one) === other;
  };
  a.inputs.slice(0, b.inputs.length).forEach((input, i) => {
    isSame(input, b.inputs[i]!);
  });
  return pairs.filter(([one, other]) => {
    const after = b.calls[other]!.refs;
    const wires = a.calls[one]!.refs.map((ref, at) => isSame(ref, after[at]!));
    return !wires.includes(false);
  });
}

const dataFacts = ({ namedData }: ProgramView): Facts =>
  new Map(namedData.map(({ key, bytes, sha256 }) => [key, `${bytes} bytes, SHA-256 ${sha256}`]));

/** The initial contents of tensors, by what they hold. */
async function constantLines(
  { file, constantData }: ProgramView,
  hash: RangeHasher,
): Promise<readonly ListedLine[]> {
  const lines: ListedLine[] = [];
  for (const { kind, index, segment, offset, bytes } of constantData) {
    const data = file.segments[segment];
    if (data === undefined || bytes === null) continue;
    const key = `${kind}, ${bytes} bytes, SHA-256 ${await hash(part(file.source, data, offset, bytes))}`;
    lines.push({ text: `${key}, number ${index}`, key, form: key, refs: [] });
  }
  return lines;
}

function part(source: Source, range: ByteRange, offset: number, size: number): ByteRange {
  const { id, name } = { id: range.id, name: source.name };
  return { ...byteRange({ ...range, name }, offset, size), id: `${id}[${offset}+${size}]` };
}

async function segmentFacts({ file: { segments } }: ProgramView, hash: RangeHasher): Promise<Facts> {
  const facts = new Map<string, string>();
  for (const [i, segment] of segments.entries()) facts.set(String(i), `SHA-256 ${await hash(segment)}`);
  return facts;
}

/** Where two tables differ, by the path of each field. Of named data's hashes the named data tells. */
function compareTables(part: string, a: FlatbufferJson, b: FlatbufferJson): readonly Difference[] {
  const found: Difference[] = [];
  const isObject = (value: unknown): value is Readonly<Record<string, FlatbufferJson>> =>
    typeof value === "object" && value !== null;
  const walk = (path: string, one: FlatbufferJson | undefined, other: FlatbufferJson | undefined): void => {
    if (isObject(one) && isObject(other)) {
      for (const name of new Set([...Object.keys(one), ...Object.keys(other)]))
        walk(path === "" ? name : `${path}.${name}`, one[name], other[name]);
      return;
    }
    if (Object.is(one, other) || path.startsWith("blobs.")) return;
    const text = (value: FlatbufferJson | undefined) => (value === undefined ? undefined : jsonText(value));
    found.push(difference(part, path, text(one), text(other)));
  };
  walk("", a, b);
  return found;
}
