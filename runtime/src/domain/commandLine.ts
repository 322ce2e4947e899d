/**
 * Writes a command as one line of text. Arguments with special characters are quoted. A line of more than 1000 characters
 * is cut.
 */
export function commandLine(command: string[]): string {
  const line = command
    .map((argument) => (/^[\w./:=@%+,-]+$/.test(argument) ? argument : JSON.stringify(argument)))
    .join(" ");
  return line.length <= 1_000 ? line : `${line.slice(0, 999)}…`;
}
