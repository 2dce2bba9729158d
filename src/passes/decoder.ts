import type { Graph, Node, Value } from "../ir/graph.ts";
import { type Dim, isSymbolic, maxOf, sameDim } from "../tensor/dim.ts";
import { isFloat, isInteger } from "../tensor/dtype.ts";
import { type Cache, cacheOf } from "./caches.ts";

/** What the inputs and outputs of a language model mean, told from structure: exporters name them as they like. */
export interface Decoder {
  /** Integer [batch, sequence]: indexes the table with the vocabulary's rows. */
  readonly tokens: Value;
  /** Name of the float [batch, sequence, vocabulary] output; some exporters return [batch, vocabulary]. */
  readonly logits: string;
  readonly caches: readonly Cache[];
  /** Masks, positions and the like. */
  readonly otherInputs: readonly Value[];
}

/** Finds the parts of a language model whose inputs are still the exporter's; undefined for any other graph. */
export function findDecoder(graph: Graph): Decoder | undefined {
  if (graph.states.length > 0) return undefined;
  const caches = graph.outputs
    .map(({ name, value }) => cacheOf(name, value))
    .filter((cache) => cache !== undefined);
  const cached = new Set(caches.map(({ past }) => past));
  const returned = new Set(caches.map(({ outputName }) => outputName));
  const tables = graph.inputs
    .filter((input) => isInteger(input.type.dtype) && input.type.shape.length === 2)
    .flatMap((input) => tablesIndexedBy(input).map((table) => ({ input, rows: table.type.shape[0]! })));
  const results = graph.outputs.filter(({ name, value }) => !returned.has(name) && isFloat(value.type.dtype));
  const logits = findLogits(
    results,
    tables.map(({ rows }) => rows),
    caches.length > 0,
  );
  if (logits === undefined) return undefined;
  const vocabulary = logits.value.type.shape.at(-1)!;
  const best =
    tables.find(({ rows }) => sameDim(rows, vocabulary)) ??
    tables.sort((a, b) => Number(b.rows) - Number(a.rows))[0];
  if (best === undefined) return undefined;
  return {
    tokens: best.input,
    logits: logits.name,
    caches,
    otherInputs: graph.inputs.filter((input) => input !== best.input && !cached.has(input)),
  };
}

/**
 * The output that has a score for each row of a table of tokens; the widest such one, for hidden states may be as
 * wide as a table of positions is long. One row of scores, [batch, vocabulary], is a language model's where it has
 * a cache too: classifiers return such rows.
 */
function findLogits(results: Graph["outputs"], tableRows: readonly Dim[], hasCache: boolean) {
  const ofRank = (rank: number) =>
    results
      .filter(
        ({ value: { type } }) =>
          type.shape.length === rank && tableRows.some((rows) => sameDim(rows, type.shape.at(-1)!)),
      )
      .sort((x, y) => maxOf(y.value.type.shape.at(-1)!) - maxOf(x.value.type.shape.at(-1)!))[0];
  const scores = ofRank(3);
  if (scores !== undefined || !hasCache) return scores;
  return ofRank(2) ?? results.find(({ value }) => value.type.shape.length === 3);
}

/** Constant tables that an integer input indexes, directly or through casts and reshapes. */
export function tablesIndexedBy(input: Value): readonly Value[] {
  const tables: Value[] = [];
  const follow = (value: Value, depth: number) => {
    for (const user of value.users) {
      const table = indexedTable(user, value);
      if (table) tables.push(table);
      else if (depth < 6 && passesIndicesOn(user)) follow(user.results[0]!, depth + 1);
    }
  };
  follow(input, 0);
  return tables;
}

function indexedTable(user: Node, indices: Value): Value | undefined {
  if (user.op !== "gather" && user.op !== "nn.embedding") return undefined;
  const table = user.operands[0]!;
  const isTable = table.def.kind === "const" && table.type.shape.length === 2 && isFloat(table.type.dtype);
  return isTable && user.operands[1] === indices ? table : undefined;
}

const passesIndicesOn = (node: Node): boolean =>
  ["cast", "reshape", "expand", "maximum", "minimum", "where"].includes(node.op);

/** What a leaf is called in messages. */
export const nameOf = ({ def }: Value): string =>
  def.kind === "input" || def.kind === "state" ? def.name : def.kind;

/** The input of that name, if a graph has it. */
export const inputNamed = (graph: Graph, name: string): Value | undefined =>
  graph.inputs.find((input) => nameOf(input) === name);

/** The symbol of a size that is one symbol and nothing else. */
export function plainSymbol(dim: Dim): string | undefined {
  if (!isSymbolic(dim) || dim.constant !== 0 || dim.terms.length !== 1) return undefined;
  const [{ coefficient, atoms }] = dim.terms as readonly [(typeof dim.terms)[number]];
  return coefficient === 1 && atoms.length === 1 && atoms[0]!.kind === "symbol" ? atoms[0]!.key : undefined;
}
