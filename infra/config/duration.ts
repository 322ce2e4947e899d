/** Durations as people write them: "90s", "30m", "8h", "7d". */

const seconds = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** The duration in seconds, or undefined if the text is not a duration. */
export function secondsOf(text: string): number | undefined {
  const [, number, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  return number === undefined ? undefined : Number(number) * seconds[unit as keyof typeof seconds];
}
