/**
 * Writes a command as one line for people. Arguments with special characters are quoted; the line is cut to 1000
 * characters.
 */
export function commandLine(command: string[]): string {
  const line = command
    .map((argument) => (/^[\w./:=@%+,-]+$/.test(argument) ? argument : JSON.stringify(argument)))
    .join(" ");
  return line.length <= 1_000 ? line : `${line.slice(0, 999)}…`;
}
