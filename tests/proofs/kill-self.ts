/**
 * Node loads this file before `up` (node --import). The file ends `up` by SIGKILL in a given step: some time after `up` has
 * printed the first line of the step, or at the last line of the step, if `up` prints that line earlier. A kill from outside
 * could not hit a step that takes only a millisecond.
 */

/** The JSON value of BERTH_KILL. */
export interface Kill {
  /** The title of the step. */
  title: string;
  /** The milliseconds after the first line of the step. */
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
