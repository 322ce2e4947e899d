/**
 * Loaded before `up` (node --import), ends it by SIGKILL in a step that it prints: some time after the step's first line, or
 * at its last line, if that comes first. Nothing from outside could hit a step that takes a millisecond.
 */

/** BERTH_KILL, as JSON. */
export interface Kill {
  /** The step's title. */
  title: string;
  /** After its first line. */
  ms: number;
}

if (process.env.BERTH_KILL !== undefined) {
  const { title, ms } = JSON.parse(process.env.BERTH_KILL) as Kill;
  const print = console.log;
  const kill = () => process.kill(process.pid, "SIGKILL");
  console.log = (...lines: unknown[]) => {
    print(...lines);
    const line = String(lines[0]);
    if (line === `· ${title}` && ms > 0) setTimeout(kill, ms);
    else if (line === `· ${title}` || line.startsWith(`✓ ${title}`)) kill();
  };
}
