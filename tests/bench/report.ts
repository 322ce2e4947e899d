/**
 * The format of a benchmark's standard output: one line per figure, `name value target`. All other text goes to standard error.
 */

/** The target of a figure, for example `<=1.10` or `>=0.5`. `-` means that the figure has no target. */
export type Target = `<=${number}` | `>=${number}` | "-";

export interface Figure {
  name: string;
  value: number;
  target: Target;
}

/**
 * Prints a figure. `name` has no spaces. If the figure has a unit, the name ends with the unit, for example `-mib`. Ratios
 * and counts have no unit.
 */
export function report(name: string, value: number, target: Target): void {
  console.log(`${name} ${value.toFixed(2)} ${target}`);
}

/** Reads a figure from a line. Returns undefined if the line is not a figure. */
export function parseFigure(line: string): Figure | undefined {
  const [, name, value, target] = /^(\S+) (-?\d+(?:\.\d+)?) (-|[<>]=\d+(?:\.\d+)?)$/.exec(line) ?? [];
  if (name === undefined) return undefined;
  return { name, value: Number(value), target: target as Target };
}

/** Whether the printed figure meets its target. The figure is rounded first: 1.104 counts as 1.10. */
export function meets({ value, target }: Figure): boolean {
  if (target === "-") return true;
  const limit = Number(target.slice(2));
  return target.startsWith("<=") ? value <= limit : value >= limit;
}

/** Returns the median. For an even number of values this is the mean of the two middle values. */
export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  return ((sorted[Math.ceil(half) - 1] ?? Number.NaN) + (sorted[Math.floor(half)] ?? Number.NaN)) / 2;
}
