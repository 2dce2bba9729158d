import type { KernelTable } from "../../../ir/ops/op.ts";
import type { NeuralOps } from "../../../ir/ops/signatures.ts";
import { gelu, relu2, silu } from "./activation.ts";
import { attention } from "./attention.ts";
import { embedding, linear } from "./linear.ts";
import { matmul } from "./matmul.ts";
import { layerNorm, rmsNorm, softmax } from "./normalization.ts";
import { rope } from "./rope.ts";

export const neuralKernels: KernelTable<NeuralOps> = {
  matmul,
  softmax,
  "nn.linear": linear,
  "nn.embedding": embedding,
  "nn.rms_norm": rmsNorm,
  "nn.layer_norm": layerNorm,
  "nn.relu2": relu2,
  "nn.silu": silu,
  "nn.gelu": gelu,
  "nn.rope": rope,
  "nn.sdpa": attention,
};
