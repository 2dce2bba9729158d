import type { Node, Value } from "../../../ir/graph.ts";
import { isTernaryBlock } from "../../../tensor/dtype.ts";
import { quantizeRows } from "../kernels/quantize-rows/kernel.ts";
import { rmsNorm } from "../kernels/rms-norm/kernel.ts";
import {
  blocksOf,
  type GateFunction,
  outputColumns,
  type TernaryParams,
  type TernarySegment,
} from "../kernels/ternary.ts";
import { ternaryGemm } from "../kernels/ternary-gemm/kernel.ts";
import { ternaryGemv } from "../kernels/ternary-gemv/kernel.ts";
import { constantRows, type Slice } from "./buffers.ts";
import type { Emitter } from "./emitter.ts";
import type { Group, Lowering, Matching } from "./group.ts";

/** bitnet.linear nodes with one input, computed as one matrix. */
interface Projection {
  readonly input: Value;
  /** The norm before them, where nothing else uses its result. */
  readonly norm: Node | undefined;
  readonly linears: readonly Node[];
  readonly epilogue: TernaryParams["epilogue"];
  readonly residual: Value | undefined;
  /** The last node: the one that others know the projection by. */
  readonly root: Node;
}

const none: ReadonlySet<Value> = new Set();

/** f(gate) · up over two ternary matrices. */
export const gatedProjection: Lowering = {
  name: "gated-projection",
  doc: "[norm,] quantisation, gate and up as one matrix, f(gate) · up: one dispatch a token, two for several.",
  match(node, matching) {
    if (node.op !== "mul") return undefined;
    for (const [a, b] of [
      ["a", "b"],
      ["b", "a"],
    ] as const) {
      const activation = node.arg(a).node;
      const gateFunction = activation && gateOf(activation);
      if (gateFunction === undefined || matching.producer(node.arg(a), activation!.op) === undefined)
        continue;
      const gate = matching.producer(activation!.arg("x"), "bitnet.linear");
      const up = matching.producer(node.arg(b), "bitnet.linear");
      if (gate === undefined || up === undefined || !canJoin(gate, up)) continue;
      if (gate.arg("weight").type.shape[0] !== up.arg("weight").type.shape[0]) continue;
      const linears = [gate, up];
      const norm = normBefore(gate, linears, matching);
      return groupOf("gated-projection", [activation!, node], {
        input: norm?.arg("x") ?? gate.arg("x"),
        norm,
        linears,
        epilogue: { kind: "gate", function: gateFunction },
        residual: undefined,
        root: node,
      });
    }
    return undefined;
  },
};

/** Matrices whose results go to one group that can read them side by side: q, k and v. */
export const joinedProjection: Lowering = {
  name: "joined-projection",
  doc: "[norm,] quantisation, and matrices of one input as one: one dispatch a token, two for several.",
  match(node, matching) {
    if (!isProjection(node) || !matching.takesRows(node.results[0]!)) return undefined;
    const consumer = consumerOf(node, matching);
    const linears = matching.graph.nodes.filter(
      (other) =>
        isProjection(other) &&
        !matching.isClaimed(other) &&
        canJoin(node, other) &&
        matching.takesRows(other.results[0]!) &&
        consumerOf(other, matching) === consumer,
    );
    if (linears.length < 2) return undefined;
    const norm = normBefore(node, linears, matching);
    return groupOf("joined-projection", [], {
      input: norm?.arg("x") ?? node.arg("x"),
      norm,
      linears,
      epilogue: { kind: "store" },
      residual: undefined,
      root: node,
    });
  },
};

/** One ternary matrix, and the residual that its result is added to. */
export const projection: Lowering = {
  name: "projection",
  doc: "[norm,] quantisation, one ternary matrix [, + residual]: one dispatch a token, two for several.",
  match(node, matching) {
    if (!isProjection(node)) return undefined;
    const norm = normBefore(node, [node], matching);
    const add = residualAdd(node, matching);
    const [result] = node.results;
    return groupOf("projection", add ? [add] : [], {
      input: norm?.arg("x") ?? node.arg("x"),
      norm,
      linears: [node],
      epilogue: { kind: add ? "residual" : "store" },
      residual: add && (add.arg("a") === result ? add.arg("b") : add.arg("a")),
      root: add ?? node,
    });
  },
};

const isProjection = (node: Node): boolean =>
  node.op === "bitnet.linear" &&
  node.arg("weight").def.kind === "const" &&
  isTernaryBlock(node.arg("weight").type.dtype) &&
  node.arg("scale").def.kind === "const";

const canJoin = (a: Node, b: Node): boolean =>
  isProjection(a) &&
  isProjection(b) &&
  a.arg("x") === b.arg("x") &&
  a.attrs.activations === b.attrs.activations &&
  a.attrs.group === b.attrs.group;

const consumerOf = (node: Node, matching: Matching): Group | undefined => {
  const [user] = node.results[0]!.users;
  return user && matching.groupOf(user);
};

const gateFunctions: Readonly<Record<string, GateFunction>> = {
  "nn.relu2": "relu2",
  relu: "relu",
  "nn.silu": "silu",
  "nn.gelu": "gelu",
};

const gateOf = ({ op, attrs }: Node): GateFunction | undefined =>
  attrs.approximate === "tanh" ? "gelu-tanh" : gateFunctions[op];

/** The norm that makes the input of these nodes alone. */
function normBefore({ args }: Node, users: readonly Node[], matching: Matching): Node | undefined {
  const x = args.x as Value;
  const norm = x.node;
  const isPlain = norm?.op === "nn.rms_norm" && norm.arg("scale").def.kind === "const";
  return isPlain && !matching.isClaimed(norm) && matching.isPrivate(x, users) ? norm : undefined;
}

function residualAdd(node: Node, matching: Matching): Node | undefined {
  const result = node.results[0]!;
  const add = matching.soleUser(result);
  if (add?.op !== "add" || matching.isClaimed(add)) return undefined;
  const other = add.arg("a") === result ? add.arg("b") : add.arg("a");
  const sameShape = JSON.stringify(other.type.shape) === JSON.stringify(result.type.shape);
  return other !== result && sameShape && other.type.dtype === "f32" && other.def.kind === "node"
    ? add
    : undefined;
}

function groupOf(name: string, more: readonly Node[], projection: Projection): Group {
  const { norm, linears } = projection;
  return {
    name,
    nodes: [...(norm ? [norm] : []), ...linears, ...more],
    takesRows: none,
    emit: (emitter) => emitProjection(emitter, projection),
  };
}

function emitProjection(emitter: Emitter, projection: Projection): void {
  const { input, linears, epilogue, residual, root } = projection;
  const [first] = linears as [Node];
  const rows = emitter.rowCount(input);
  const params: TernaryParams = {
    rows,
    depth: input.type.shape.at(-1) as number,
    segments: linears.map(segmentOf),
    activations: first.attrs.activations as TernaryParams["activations"],
    group: first.attrs.group as number,
    epilogue,
  };
  const columns = outputColumns(params);
  const isJoined = epilogue.kind === "store" && linears.length > 1;
  const out = isJoined ? emitter.scratch(rows, columns) : emitter.define(root.results[0]!);
  const biases = linears.flatMap((node) => node.optional("bias") ?? []);
  const bindings = {
    weights: emitter.constants(linears.map((node) => constantRows(node.arg("weight")))),
    scales: emitter.constants(linears.map((node) => constantRows(node.arg("scale")))),
    ...(biases.length > 0 && { bias: emitter.constants(biases.map(constantRows)) }),
    ...(residual !== undefined && { residual: emitter.read(residual) }),
    out,
  };
  emitProduct(emitter, projection, params, bindings);
  if (!isJoined) return;
  let offset = 0;
  for (const [i, node] of linears.entries()) {
    emitter.placeRows(node.results[0]!, { slice: out, stride: columns, offset });
    offset += params.segments[i]!.rows;
  }
}

/** A token alone is quantised in the kernel that multiplies it; several are quantised once, for all tiles. */
function emitProduct(
  emitter: Emitter,
  { input, norm, root }: Projection,
  params: TernaryParams,
  bindings: Readonly<Record<string, Slice>>,
): void {
  const x = emitter.read(input);
  const normed = norm && { norm: { eps: norm.attrs.eps as number } };
  const normScale = norm && { norm_scale: emitter.read(norm.arg("scale")) };
  const single = { ...params, ...normed };
  if (params.rows === 1 && ternaryGemv.supports?.(single, emitter.target) === undefined) {
    emitter.dispatch(ternaryGemv, single, { x, ...normScale, ...bindings }, root);
    return;
  }
  if (params.activations === "float") {
    emitter.dispatch(ternaryGemm, params, { x: norm ? emitNorm(emitter, norm) : x, ...bindings }, root);
    return;
  }
  const { rows, depth } = params;
  const codes = emitter.scratch(rows, 64 * blocksOf(depth));
  const row_scales = emitter.scratch(rows);
  emitter.dispatch(quantizeRows, { rows, depth, ...normed }, { x, ...normScale, codes, row_scales }, root);
  emitter.dispatch(ternaryGemm, params, { codes, row_scales, ...bindings }, root);
}

function emitNorm(emitter: Emitter, norm: Node): Slice {
  const [x, scale] = [norm.arg("x"), norm.arg("scale")];
  const out = emitter.scratch(...emitter.shape(x));
  const params = {
    rows: emitter.rowCount(x),
    width: scale.type.shape[0] as number,
    eps: norm.attrs.eps as number,
  };
  emitter.dispatch(rmsNorm, params, { x: emitter.read(x), scale: emitter.read(scale), out }, norm);
  return out;
}

function segmentOf(node: Node): TernarySegment {
  const scale = node.arg("scale").type.shape as readonly number[];
  return {
    rows: node.arg("weight").type.shape[0] as number,
    scale: scale.length === 2 ? "group" : scale[0] === 1 ? "one" : "row",
    bias: node.optional("bias") !== undefined,
  };
}
