import { defineCases } from "../../kernel-case.ts";
import { denseBench, denseCases } from "../dense-cases.ts";
import { denseGemm } from "./kernel.ts";

export const denseGemmCases = defineCases({
  kernel: denseGemm,
  cases: denseCases(67),
  benches: [
    denseBench("head", "q8", 512, 128256, 2560),
    denseBench("layer", "f16", 512, 2560, 2560),
    denseBench("head of a small model", "bf16", 64, 2048, 256),
  ],
});
