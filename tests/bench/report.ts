/** What a benchmark prints on standard output: one line per figure, `name value aim`; everything else goes to standard error. */

/** What a figure should be, e.g. `<=1.10` or `>=0.5`; `-` for one that is only told. */
export type Aim = `<=${number}` | `>=${number}` | "-";

export interface Figure {
  name: string;
  value: number;
  aim: Aim;
}

/** Prints one figure. `name` has no spaces. A ratio has no unit; other figures name theirs at the end, e.g. `-mib`. */
export function report(name: string, value: number, aim: Aim): void {
  console.log(`${name} ${value.toFixed(2)} ${aim}`);
}

/** Reads such a line; undefined if it is none. */
export function parseFigure(line: string): Figure | undefined {
  const [, name, value, aim] = /^(\S+) (-?\d+(?:\.\d+)?) (-|[<>]=\d+(?:\.\d+)?)$/.exec(line) ?? [];
  if (name === undefined) return undefined;
  return { name, value: Number(value), aim: aim as Aim };
}

/** Whether the figure is as it should be, as printed: 1.104 is 1.10. */
export function meets({ value, aim }: Figure): boolean {
  if (aim === "-") return true;
  const limit = Number(aim.slice(2));
  return aim.startsWith("<=") ? value <= limit : value >= limit;
}

/** The middle one; the mean of the two middle ones where there are two. */
export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  return ((sorted[Math.ceil(half) - 1] ?? Number.NaN) + (sorted[Math.floor(half)] ?? Number.NaN)) / 2;
}
