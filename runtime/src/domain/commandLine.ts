/** A command in one line, for people to read: what isn't a plain word is quoted, and it has at most 1000 characters. */
export function commandLine(command: string[]): string {
  const line = command.map((part) => (/^[\w./:=@%+,-]+$/.test(part) ? part : JSON.stringify(part))).join(" ");
  return line.length <= 1_000 ? line : `${line.slice(0, 999)}…`;
}
