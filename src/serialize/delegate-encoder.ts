import { Builder, type Offset } from "flatbuffers";
import type { AttrValue } from "../ir/ops/op.ts";
import type { ProgramConstant, ProgramGraph, ProgramNode } from "../runtime/graph.ts";
import type { Dim } from "../tensor/dim.ts";
import { bytesOf } from "../tensor/hex.ts";
import { encodeElements, type Tensor } from "../tensor/tensor.ts";
import { type BlobEntry, chunkSize } from "./blob.ts";
import type { DelegateContents } from "./delegate.ts";
import * as fb from "./generated/write/bitnetc.ts";
import { encodePlan } from "./plan-encoder.ts";
import { SizeTexts } from "./size-text.ts";

/** The delegate's blob as schemas/delegate.fbs lays it out. */
export const encodeDelegate = (contents: DelegateContents, version: number): Uint8Array =>
  new DelegateEncoder().encode(contents, version);

class DelegateEncoder {
  readonly #b = new Builder(1 << 16);
  readonly #sizes = new SizeTexts();
  readonly #strings = new Map<string, Offset>();

  encode({ graph, plan, blobs }: DelegateContents, version: number): Uint8Array {
    const b = this.#b;
    const { Delegate } = fb;
    const values = Delegate.createValuesVector(
      b,
      graph.values.map(({ dtype, shape }) =>
        fb.Value.createValue(b, fb.DType[dtype], fb.Value.createShapeVector(b, this.#indices(shape))),
      ),
    );
    const inputs = Delegate.createInputsVector(
      b,
      graph.inputs.map((input) => this.#binding(input)),
    );
    const outputs = Delegate.createOutputsVector(
      b,
      graph.outputs.map((output) => this.#binding(output)),
    );
    const states = Delegate.createStatesVector(
      b,
      graph.states.map((state) => this.#binding(state)),
    );
    const constants = Delegate.createConstantsVector(
      b,
      graph.constants.map((constant) => this.#constant(constant)),
    );
    const dims = Delegate.createDimsVector(
      b,
      graph.dims.map(({ value, sizes }) =>
        fb.Dims.createDims(b, value, fb.Dims.createSizesVector(b, this.#indices(sizes))),
      ),
    );
    const nodes = Delegate.createNodesVector(
      b,
      graph.nodes.map((node) => this.#node(node)),
    );
    const blobVector = Delegate.createBlobsVector(
      b,
      blobs.map((blob) => this.#blob(blob)),
    );
    const planOffset =
      plan &&
      encodePlan(plan, {
        b,
        string: (text) => this.#shared(text),
        size: (size) => this.#sizes.index(size),
      });
    const symbols = Delegate.createSymbolsVector(
      b,
      this.#sizes.symbols.map(({ name, min, max }) =>
        fb.Symbol.createSymbol(b, b.createString(name), BigInt(min), BigInt(max)),
      ),
    );
    const sizes = Delegate.createSizesVector(
      b,
      this.#sizes.texts.map((text) => b.createString(text)),
    );
    Delegate.startDelegate(b);
    Delegate.addVersion(b, version);
    Delegate.addSymbols(b, symbols);
    Delegate.addSizes(b, sizes);
    Delegate.addValues(b, values);
    Delegate.addInputs(b, inputs);
    Delegate.addOutputs(b, outputs);
    Delegate.addStates(b, states);
    Delegate.addConstants(b, constants);
    Delegate.addDims(b, dims);
    Delegate.addNodes(b, nodes);
    Delegate.addBlobs(b, blobVector);
    if (planOffset !== undefined) Delegate.addPlan(b, planOffset);
    Delegate.addChunkSize(b, chunkSize);
    Delegate.finishDelegateBuffer(b, Delegate.endDelegate(b));
    return b.asUint8Array();
  }

  #indices(sizes: readonly Dim[]): number[] {
    return sizes.map((size) => this.#sizes.index(size));
  }

  /** Strings that recur are written once. (The library's own way to do so drops empty ones.) */
  #shared(text: string): Offset {
    const offset = this.#strings.get(text) ?? this.#b.createString(text);
    this.#strings.set(text, offset);
    return offset;
  }

  #binding({ name, value, contents }: ProgramGraph["inputs"][number]): Offset {
    const nameOffset = this.#b.createString(name);
    const contentsOffset = contents && fb.Binding.createContentsVector(this.#b, this.#indices(contents));
    return fb.Binding.createBinding(this.#b, nameOffset, value, contentsOffset ?? 0);
  }

  #blob({ key, size, sha256, chunks }: BlobEntry): Offset {
    const b = this.#b;
    const keyOffset = b.createString(key);
    const whole = fb.Blob.createSha256Vector(b, bytesOf(sha256));
    const pieces = chunks === undefined ? 0 : fb.Blob.createChunksVector(b, bytesOf(chunks.sha256.join("")));
    return fb.Blob.createBlob(b, keyOffset, BigInt(size), whole, pieces);
  }

  #constant(constant: ProgramConstant): Offset {
    const key = "key" in constant ? this.#b.createString(constant.key) : undefined;
    const inline = "inline" in constant ? this.#inline(constant.inline) : undefined;
    fb.Constant.startConstant(this.#b);
    fb.Constant.addValue(this.#b, constant.value);
    if (key !== undefined) fb.Constant.addKey(this.#b, key);
    if (inline !== undefined) fb.Constant.addInline(this.#b, inline);
    return fb.Constant.endConstant(this.#b);
  }

  #inline({ dtype, shape, data }: Tensor): Offset {
    const shapeOffset = fb.InlineTensor.createShapeVector(this.#b, [...shape]);
    const dataOffset = fb.InlineTensor.createDataVector(this.#b, encodeElements(dtype, data));
    return fb.InlineTensor.createInlineTensor(this.#b, fb.DType[dtype], shapeOffset, dataOffset);
  }

  #node({ op, args, attrs, results, source }: ProgramNode): Offset {
    const b = this.#b;
    const opOffset = this.#shared(op);
    const argsOffset = fb.Node.createArgsVector(
      b,
      Object.entries(args).map(([name, arg]) => {
        const values = fb.Argument.createValuesVector(b, [arg].flat());
        return fb.Argument.createArgument(b, this.#shared(name), typeof arg !== "number", values);
      }),
    );
    const attrsOffset = fb.Node.createAttrsVector(
      b,
      Object.entries(attrs).map(([name, value]) => this.#attribute(name, value)),
    );
    const resultsOffset = fb.Node.createResultsVector(b, [...results]);
    return fb.Node.createNode(b, opOffset, argsOffset, attrsOffset, resultsOffset, this.#shared(source));
  }

  #attribute(name: string, value: AttrValue): Offset {
    const b = this.#b;
    const list: readonly (number | string | boolean)[] = Array.isArray(value) ? value : [value];
    const isText = list.some((item) => typeof item === "string");
    const kind = Array.isArray(value) ? (isText ? "strings" : "numbers") : (typeof value as "number");
    const nameOffset = this.#shared(name);
    const numbersOffset = isText ? 0 : fb.Attribute.createNumbersVector(b, list.map(Number));
    const stringsOffset = isText
      ? fb.Attribute.createStringsVector(
          b,
          list.map((item) => b.createString(String(item))),
        )
      : 0;
    return fb.Attribute.createAttribute(b, nameOffset, fb.AttributeKind[kind], numbersOffset, stringsOffset);
  }
}
