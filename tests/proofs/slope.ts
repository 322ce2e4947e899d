/** How a figure changes with time. */

/** Least squares: the change of `value` per minute, for points of [seconds, value]. 0 for fewer than two. */
export function slopePerMinute(points: [number, number][]): number {
  if (points.length < 2) return 0;
  const mean = (numbers: number[]) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;
  const [t, v] = [mean(points.map(([at]) => at)), mean(points.map(([, value]) => value))];
  const spread = points.reduce((sum, [at]) => sum + (at - t) ** 2, 0);
  return spread === 0 ? 0 : (points.reduce((sum, [at, value]) => sum + (at - t) * (value - v), 0) / spread) * 60;
}
