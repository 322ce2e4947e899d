/**
 * The format of a benchmark's standard output: one line per figure, `name value aim`. All other text goes to standard error.
 */

/** The target of a figure, for example `<=1.10` or `>=0.5`. `-` means that the figure has no target. */
export type Aim = `<=${number}` | `>=${number}` | "-";

export interface Figure {
  name: string;
  value: number;
  aim: Aim;
}

/**
 * Prints a figure. `name` has no spaces. If the figure has a unit, the name ends with the unit, for example `-mib`. Ratios
 * and counts have no unit.
 */
export function report(name: string, value: number, aim: Aim): void {
  console.log(`${name} ${value.toFixed(2)} ${aim}`);
}

/** Reads a figure from a line. Returns undefined if the line is not a figure. */
export function parseFigure(line: string): Figure | undefined {
  const [, name, value, aim] = /^(\S+) (-?\d+(?:\.\d+)?) (-|[<>]=\d+(?:\.\d+)?)$/.exec(line) ?? [];
  if (name === undefined) return undefined;
  return { name, value: Number(value), aim: aim as Aim };
}

/** Whether the printed figure meets its target. The figure is rounded first: 1.104 counts as 1.10. */
export function meets({ value, aim }: Figure): boolean {
  if (aim === "-") return true;
  const limit = Number(aim.slice(2));
  return aim.startsWith("<=") ? value <= limit : value >= limit;
}

/** Returns the median. For an even number of values this is the mean of the two middle values. */
export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  return ((sorted[Math.ceil(half) - 1] ?? Number.NaN) + (sorted[Math.floor(half)] ?? Number.NaN)) / 2;
}
