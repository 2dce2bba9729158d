/** For programs that consist of ExecuTorch's own operators: `open(program, { portable: openPortable })`. */
export { openPortable } from "./cpu/portable/open-portable.ts";
