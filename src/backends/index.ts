import type { Options } from "../options.ts";
import type { Backend } from "./backend.ts";
import { portable } from "./portable/backend.ts";
import { vulkan } from "./vulkan/backend.ts";
import { webgpu } from "./webgpu/backend.ts";

/** The backends by the names that options have for them. */
export const backends: Readonly<Record<Options["backend"], Backend>> = { webgpu, vulkan, portable };
