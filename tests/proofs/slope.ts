/** The change of a figure over time. */

/**
 * Returns the change of `value` per minute by least squares, for points of [seconds, value]. Fewer than two points give 0.
 */
export function slopePerMinute(points: [number, number][]): number {
  if (points.length < 2) return 0;
  const mean = (numbers: number[]) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
  const [t, v] = [mean(points.map(([at]) => at)), mean(points.map(([, value]) => value))];
  const spread = points.reduce((sum, [at]) => sum + (at - t) ** 2, 0);
  return spread === 0 ? 0 : (points.reduce((sum, [at, value]) => sum + (at - t) * (value - v), 0) / spread) * 60;
}
