import { bindDimensions } from "./canonical/bind-dimensions.ts";
import { foldConstants } from "./canonical/fold-constants.ts";
import { mergeDuplicates } from "./canonical/merge-duplicates.ts";
import { mergeEqualWeights } from "./canonical/merge-equal-weights.ts";
import { simplifyArithmetic } from "./canonical/simplify-arithmetic.ts";
import { simplifyMovement } from "./canonical/simplify-movement.ts";
import { splitStackedCaches } from "./canonical/split-stacked-caches.ts";
import { widenFloats } from "./canonical/widen-floats.ts";
import { fuseActivationQuantization } from "./fused/fuse-activation-quantization.ts";
import { fuseAttention } from "./fused/fuse-attention.ts";
import { fuseBitnetLinear, overrideActivations, placeActivationScales } from "./fused/fuse-bitnet-linear.ts";
import { fuseGates } from "./fused/fuse-gates.ts";
import { fuseLinear } from "./fused/fuse-linear.ts";
import { fuseNorms } from "./fused/fuse-norms.ts";
import { fuseRope } from "./fused/fuse-rope.ts";
import { mergeEqualScales } from "./fused/merge-equal-scales.ts";
import { recogniseTernary } from "./fused/recognise-ternary.ts";
import { inlineConstants } from "./packed/inline-constants.ts";
import { narrowWeights } from "./packed/narrow-weights.ts";
import { packTernaryWeights } from "./packed/pack-ternary.ts";
import { quantizeEmbedding } from "./packed/quantize-embedding.ts";
import { selectLogits, sinkSlices } from "./packed/select-logits.ts";
import { partition } from "./partitioned/partition.ts";
import type { Pass, Phase } from "./pass.ts";
import { planDispatches } from "./planned/plan-dispatches.ts";
import { attendInPlacePass } from "./stateful/attend-in-place.ts";
import { bindDecoderInputs } from "./stateful/bind-decoder-inputs.ts";
import { boundPositions } from "./stateful/bound-positions.ts";
import { cachesToStates } from "./stateful/caches-to-states.ts";
import { countPositions } from "./stateful/count-positions.ts";
import { fitCaches } from "./stateful/fit-caches.ts";
import { keepAllPositions } from "./stateful/keep-all-positions.ts";
import { orderOperands } from "./stateful/order-operands.ts";
import { recogniseMasks } from "./stateful/recognise-masks.ts";
import { settleUnitAxes } from "./stateful/settle-unit-axes.ts";
import { tabulateRope } from "./stateful/tabulate-rope.ts";

/** Clean-up between steps: cheap, and run wherever a step leaves something to tidy. */
const tidy = [foldConstants, simplifyArithmetic, simplifyMovement, mergeDuplicates] as const;

/** The whole compiler: the passes of each phase, in order. `import` has none, it is the frontend's. */
export const pipeline: readonly { readonly phase: Phase; readonly passes: readonly Pass[] }[] = [
  {
    phase: "canonical",
    passes: [...tidy, splitStackedCaches, bindDimensions, widenFloats, ...tidy],
  },
  {
    phase: "fused",
    passes: [
      fuseActivationQuantization,
      fuseNorms,
      fuseGates,
      fuseRope,
      fuseAttention,
      fuseLinear,
      placeActivationScales,
      ...tidy,
      mergeEqualWeights,
      recogniseTernary,
      fuseBitnetLinear,
      mergeEqualScales,
      overrideActivations,
      ...tidy,
    ],
  },
  {
    phase: "stateful",
    passes: [
      bindDecoderInputs,
      ...tidy,
      boundPositions,
      countPositions,
      tabulateRope,
      cachesToStates,
      ...tidy,
      recogniseMasks,
      attendInPlacePass,
      fitCaches,
      keepAllPositions,
      settleUnitAxes,
      ...tidy,
      orderOperands,
    ],
  },
  {
    phase: "packed",
    passes: [selectLogits, sinkSlices, packTernaryWeights, quantizeEmbedding, narrowWeights, inlineConstants],
  },
  {
    phase: "partitioned",
    passes: [partition],
  },
  {
    phase: "planned",
    passes: [planDispatches],
  },
];
