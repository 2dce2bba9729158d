import type { VulkanLowering } from "../lowering.ts";
import { attention } from "./attention.ts";
import { bitnet } from "./bitnet.ts";
import { elementwise } from "./elementwise.ts";
import { embeddings } from "./embedding.ts";
import { linears } from "./linear.ts";
import { movement } from "./movement.ts";
import { rotation } from "./rope.ts";
import { rows } from "./rows.ts";

/** How each op of the graph is computed by a delegate; an op that is missing is for kernels outside. */
export const lowerings: ReadonlyMap<string, VulkanLowering> = new Map<string, VulkanLowering>(
  Object.entries({
    ...bitnet,
    ...linears,
    ...embeddings,
    ...attention,
    ...rotation,
    ...rows,
    ...elementwise,
    ...movement,
  }),
);
