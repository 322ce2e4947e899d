/** Prints the measurements of a proof as a table. */
export function printTable(title: string, rows: Record<string, string | number>[]): void {
  const names = Object.keys(rows[0] ?? {});
  const widths = names.map((name) => Math.max(name.length, ...rows.map((row) => String(row[name]).length)));
  const line = (cells: unknown[]) =>
    `  ${cells.map((cell, at) => String(cell).padEnd(widths[at] ?? 0)).join("  ")}`.trimEnd();
  console.log([title, line(names), ...rows.map((row) => line(names.map((name) => row[name])))].join("\n"));
}
