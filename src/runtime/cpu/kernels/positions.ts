/** @throws RangeError when the positions from `start` on are not all among `size` of them */
export function checkPositions(start: number, length: number, size: number, holder: string): void {
  if (!(start >= 0 && start + length <= size))
    throw new RangeError(
      `Positions ${start} to ${start + length - 1} do not fit ${holder} of ${size} positions.`,
    );
}
