/**
 * For programs that consist of ExecuTorch's own operators, or of delegates of its Vulkan backend, which run on the CPU
 * then: `open(program, { portable: openPortable })`.
 */
export { openPortable } from "./cpu/portable/open-portable.ts";
