import type { KernelCases } from "../kernel-case.ts";
import { attentionCombineCases } from "./attention-combine/cases.ts";
import { attentionDecodeCases } from "./attention-decode/cases.ts";
import { attentionPrefillCases } from "./attention-prefill/cases.ts";
import { candidatesFinishCases, candidatesPartialCases } from "./candidates/cases.ts";
import { copyRowsCases } from "./copy-rows/cases.ts";
import { denseGemmCases } from "./dense-gemm/cases.ts";
import { denseGemvCases } from "./dense-gemv/cases.ts";
import { elementwiseCases } from "./elementwise/cases.ts";
import { embeddingCases } from "./embedding/cases.ts";
import { gatherCases } from "./gather/cases.ts";
import { greedyFinishCases, greedyPartialCases } from "./greedy/cases.ts";
import { layerNormCases } from "./layer-norm/cases.ts";
import { matmulCases } from "./matmul/cases.ts";
import { quantizeRowsCases } from "./quantize-rows/cases.ts";
import { rangeCases } from "./range/cases.ts";
import { reduceCases } from "./reduce/cases.ts";
import { rmsNormCases } from "./rms-norm/cases.ts";
import { ropeCases } from "./rope/cases.ts";
import { ropeCacheCases } from "./rope-cache/cases.ts";
import { softmaxCases } from "./softmax/cases.ts";
import { stridedCopyCases } from "./strided-copy/cases.ts";
import { ternaryGemmCases } from "./ternary-gemm/cases.ts";
import { ternaryGemvCases } from "./ternary-gemv/cases.ts";
import { triangleCases } from "./triangle/cases.ts";

/** The cases of every kernel, for tests and benchmarks. The compiler does not import them. */
export const allKernelCases = [
  attentionCombineCases,
  attentionDecodeCases,
  attentionPrefillCases,
  candidatesFinishCases,
  candidatesPartialCases,
  copyRowsCases,
  denseGemmCases,
  denseGemvCases,
  elementwiseCases,
  stridedCopyCases,
  gatherCases,
  softmaxCases,
  layerNormCases,
  rangeCases,
  reduceCases,
  triangleCases,
  matmulCases,
  embeddingCases,
  greedyFinishCases,
  greedyPartialCases,
  quantizeRowsCases,
  rmsNormCases,
  ropeCases,
  ropeCacheCases,
  ternaryGemmCases,
  ternaryGemvCases,
] as unknown as readonly KernelCases[];
