import { defineCases } from "../../kernel-case.ts";
import { denseBench, denseCases } from "../dense-cases.ts";
import { denseGemv } from "./kernel.ts";

export const denseGemvCases = defineCases({
  kernel: denseGemv,
  cases: denseCases(3),
  benches: [
    denseBench("head", "q8", 1, 128256, 2560),
    denseBench("head", "f16", 1, 128256, 2560),
    denseBench("head of a small model", "bf16", 1, 2048, 256),
    denseBench("layer", "f16", 1, 2560, 2560),
  ],
});
