/** What a benchmark prints on standard output: one line per figure, `name value aim`; everything else goes to standard error. */
/** Prints one figure. `name` has no spaces. A ratio has no unit; other figures name theirs at the end, e.g. `-mib`. */
export function report(name, value, aim) {
    console.log(`${name} ${value.toFixed(2)} ${aim}`);
}
/** Reads such a line; undefined if it is none. */
export function parseFigure(line) {
    const [, name, value, aim] = /^(\S+) (-?\d+(?:\.\d+)?) (-|[<>]=\d+(?:\.\d+)?)$/.exec(line) ?? [];
    if (name === undefined)
        return undefined;
    return { name, value: Number(value), aim: aim };
}
/** Whether the figure is as it should be, as printed: 1.104 is 1.10. */
export function meets({ value, aim }) {
    if (aim === "-")
        return true;
    const limit = Number(aim.slice(2));
    return aim.startsWith("<=") ? value <= limit : value >= limit;
}
/** The middle one; the mean of the two middle ones where there are two. */
export function median(values) {
    const sorted = values.toSorted((a, b) => a - b);
    const half = sorted.length / 2;
    return ((sorted[Math.ceil(half) - 1] ?? Number.NaN) + (sorted[Math.floor(half)] ?? Number.NaN)) / 2;
}
