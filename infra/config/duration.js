/** Durations as people write them: "90s", "30m", "8h", "7d". */
const seconds = { s: 1, m: 60, h: 3_600, d: 86_400 };
/** Seconds of the duration, or undefined where the text is none. */
export function secondsOf(text) {
    const [, number, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
    return number === undefined ? undefined : Number(number) * seconds[unit];
}
