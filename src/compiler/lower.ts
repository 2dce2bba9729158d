import * as diagnostics from "../diagnostics.ts";
import { BitnetcError, type Diagnostic } from "../errors.ts";
import { type Input, importModel } from "../frontend/index.ts";
import type { ModelInfo } from "../frontend/model.ts";
import type { Graph } from "../ir/graph.ts";
import { hashGraph } from "../ir/print.ts";
import { verifyGraph } from "../ir/verify.ts";
import { type OptionsInput, parseOptions } from "../options.ts";
import { type PassContext, type Phase, phases } from "../passes/pass.ts";
import type { RuleReport } from "../passes/rule.ts";
import { applyPlugins, type Extensions } from "./extensions.ts";
import { type CompileReport, countOps, measureSizes, type PhaseReport } from "./report.ts";

/** A model on its way down: its graph at a phase. Which phase is part of the type. */
export interface Lowered<P extends Phase = Phase> {
  readonly phase: P;
  readonly graph: Graph;
  readonly info: ModelInfo;
  readonly report: CompileReport;
  /** @internal */
  readonly compilation: Compilation;
}

/** What stays the same through one compilation. */
class Compilation {
  readonly context: PassContext;
  readonly extensions: Extensions;
  readonly phaseReports: PhaseReport[] = [];
  readonly diagnostics: Diagnostic[] = [];
  readonly metrics: Record<string, number> = {};
  ops: Record<string, number> = {};

  constructor(context: Pick<PassContext, "options" | "info">, extensions: Extensions) {
    this.extensions = extensions;
    this.context = {
      ...context,
      report: (diagnostic) => {
        this.diagnostics.push(diagnostic);
      },
      metric: (name, value) => {
        this.metrics[name] = (this.metrics[name] ?? 0) + value;
      },
      rules: new Map<string, RuleReport>(),
      placed: {},
      lowerings: extensions.lowerings,
    };
  }

  /** @throws BitnetcError when a pass found fault with the model */
  throwErrors(): void {
    const errors = this.diagnostics.filter(({ severity }) => severity === "error");
    if (errors.length > 0) throw new BitnetcError(errors);
  }

  reportOn(graph: Graph, phase: Phase): CompileReport {
    return {
      phases: [...this.phaseReports],
      ops: { ...this.ops },
      sizes:
        phases.indexOf(phase) >= phases.indexOf("packed")
          ? measureSizes(graph, this.context.placed.graph?.storedBytes)
          : undefined,
      rules: Object.fromEntries(this.context.rules),
      metrics: { ...this.metrics },
      partition: this.context.placed.graph?.report,
      warnings: this.diagnostics.filter(({ severity }) => severity === "warning"),
    };
  }

  async reached<P extends Phase>(phase: P, graph: Graph, since: number): Promise<Lowered<P>> {
    this.phaseReports.push({
      phase,
      milliseconds: Math.round((performance.now() - since) * 10) / 10,
      nodes: graph.nodes.length,
      hash: hashGraph(graph),
    });
    if (phase === "stateful") this.ops = countOps(graph);
    await this.extensions.phaseReached(phase, graph);
    return { phase, graph, info: this.context.info, report: this.reportOn(graph, phase), compilation: this };
  }
}

/** Reads a model and builds its graph. @throws BitnetcError listing all that is wrong or not supported */
export async function load(input: Input, options: OptionsInput = {}): Promise<Lowered<"import">> {
  const since = performance.now();
  const { plugins = [], constants, ...plain } = options;
  const parsed = parseOptions(plain);
  const extensions = await applyPlugins(plugins, parsed);
  const warnings: Diagnostic[] = [];
  const { graph, info } = await importModel(input, {
    ops: extensions.ops,
    importers: extensions.importers,
    maxSeqLen: parsed.maxSeqLen,
    activations: parsed.activations,
    constants,
    warn: (warning) => {
      warnings.push(warning);
    },
  });
  const compilation = new Compilation({ options: parsed, info }, extensions);
  compilation.diagnostics.push(...warnings);
  check(graph, "import", []);
  return compilation.reached("import", graph, since);
}

/**
 * Runs the passes up to a phase. The graph is changed in place: what was passed in is what comes out, further on.
 * @throws BitnetcError when a pass finds fault with the model; Error when the graph is beyond the phase
 */
export async function lower<P extends Phase>(lowered: Lowered, to: P): Promise<Lowered<P>> {
  const { graph, compilation } = lowered;
  const [from, end] = [phases.indexOf(lowered.phase), phases.indexOf(to)];
  if (end < from) throw new Error(`a graph at ${lowered.phase} does not go back to ${to}`);
  const done: string[] = [];
  let current: Lowered = lowered;
  for (const { phase, passes } of compilation.extensions.phases) {
    const at = phases.indexOf(phase);
    if (at <= from || at > end) continue;
    const since = performance.now();
    for (const pass of passes) {
      await pass.run(graph, compilation.context);
      compilation.throwErrors();
      graph.edit(pass.name).sweep();
      check(graph, pass.name, done);
      done.push(pass.name);
    }
    current = await compilation.reached(phase, graph, since);
  }
  return current as Lowered<P>;
}

/** An invalid graph is a fault of the pass before, never of the user's model. */
function check(graph: Graph, pass: string, before: readonly string[]): void {
  const [first, ...more] = verifyGraph(graph);
  if (first === undefined) return;
  const rest = more.length > 0 ? ` (and ${more.length} more)` : "";
  throw new BitnetcError(diagnostics.invalidGraph(pass, before, `${first}${rest}`));
}
