import * as diagnostics from "../../diagnostics.ts";
import { BitnetcError } from "../../errors.ts";

/** The oldest version of the default operator set that is understood. */
const oldestOpset = 7;

/** Ops that are in versions before `oldestOpset` what they are in it (ONNX, docs/Changelog.md). */
const unchanged = new Set(
  `Abs ArgMax ArgMin Ceil Constant Exp Flatten Floor Gather Identity LeakyRelu Log LogSoftmax MatMul Neg Not
   Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
   ReduceSumSquare Relu Shape Sigmoid Size Slice Softmax Softplus Softsign Sqrt Squeeze Tanh Transpose Unsqueeze`.split(
    /\s+/,
  ),
);

/**
 * The version of an op's domain.
 * @param opsets versions by domain; one that is not listed is meant to be version 1, save for the default domain
 * @throws BitnetcError when the version is too old for the op
 */
export function opsetOf(
  opsets: ReadonlyMap<string, number>,
  { domain, opType }: { readonly domain: string; readonly opType: string },
  place: string,
): number {
  const version = opsets.get(domain);
  if (domain !== "") return version ?? 1;
  if (version === undefined || (version < oldestOpset && !unchanged.has(opType)))
    throw new BitnetcError(diagnostics.onnxOpset(version, oldestOpset, place));
  return version;
}
