/** When a failed webhook delivery is tried again. Pure: no I/O. */

/** The waits are 5 s, 20 s, 80 s, 5 min, 21 min, 1.4 h, and then 4 h each. So twelve attempts take about a day. */
export const firstSeconds = 5;
export const factor = 4;
export const longestSeconds = 4 * 3_600;
export const maxAttempts = 12;

/**
 * Seconds until the next attempt after `attempts` attempts, or `dead` when no attempt is left. `retryAfter` is the delay in
 * seconds that the receiver asked for. `random` (0 to 1) spreads deliveries that failed at the same time.
 */
export function nextAttempt(attempts: number, retryAfter: number | undefined, random: number): number | "dead" {
  if (attempts >= maxAttempts) return "dead";
  const seconds = Math.min(longestSeconds, firstSeconds * factor ** (attempts - 1)) * (0.8 + 0.4 * random);
  return Math.max(Math.round(seconds), Math.min(retryAfter ?? 0, longestSeconds));
}
