/** When a webhook that failed is tried again; pure. */

/** 5 s, 20 s, 80 s, 5 min, 21 min, 1.4 h, then every 4 h: twelve attempts in about a day. */
export const firstSeconds = 5;
export const factor = 4;
export const longestSeconds = 4 * 3_600;
export const maxAttempts = 12;

/**
 * Seconds until the next attempt after `attempts` of them, or `dead` when there is none. `retryAfter` is what the receiver
 * asked for, in seconds; `random` (0 to 1) spreads what failed together.
 */
export function nextAttempt(attempts: number, retryAfter: number | undefined, random = Math.random()): number | "dead" {
  if (attempts >= maxAttempts) return "dead";
  const seconds = Math.min(longestSeconds, firstSeconds * factor ** (attempts - 1)) * (0.8 + 0.4 * random);
  return Math.max(Math.round(seconds), Math.min(retryAfter ?? 0, longestSeconds));
}
