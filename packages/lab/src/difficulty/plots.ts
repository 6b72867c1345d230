/** stub */
export function drawPlots(..._: readonly unknown[]): { name: string; svg: string }[] {
  return []
}
