/** The next multiple of `alignment`, or `size` itself if it is one. */
export const alignUp = (size: number, alignment: number): number => Math.ceil(size / alignment) * alignment;
