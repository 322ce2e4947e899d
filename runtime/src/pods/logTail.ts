/** The end of an agent's log, as long as its pod is there. */
import type { Logger } from "pino";
import type { Session } from "../sessions/session.ts";
import type { PodAccess } from "./podAccess.ts";

/** So much of a log is kept, in bytes, the lines' times included. */
export const keptBytes = 64 * 1024;

/** As many lines are asked for. More are read than kept only where lines are long. */
const askedLines = 2_000;

/** A node that doesn't answer holds up no session's end for longer, in milliseconds. */
const patienceMs = 5_000;

/** The last whole lines, each with its time. "" if there is no log or it can't be read in time: no end waits for it. */
export async function logTail(
  pods: Pick<PodAccess, "logs">,
  session: Pick<Session, "id" | "namespace">,
  logger: Pick<Logger, "info">,
): Promise<string> {
  try {
    const options = { follow: false, tail: askedLines, timestamps: true };
    const log = await pods.logs(session, options, AbortSignal.timeout(patienceMs));
    let tail: Buffer = Buffer.alloc(0);
    for await (const chunk of log) tail = Buffer.concat([tail, chunk as Buffer]).subarray(-keptBytes - 1);
    if (tail.length <= keptBytes) return tail.toString();
    return tail.subarray(tail.indexOf("\n") + 1).toString(); // the line that is cut in two is left out
  } catch (error) {
    logger.info({ err: error, sessionId: session.id }, "the agent's log could not be read");
    return "";
  }
}

/** The log with the lines' times, or without. */
export const withoutTimes = (log: string): string => log.replace(/^\S+ ?/gm, "");

/** The last line that the agent's own command wrote, for people; undefined if it wrote none. */
export function lastLine(log: string): string | undefined {
  const lines = withoutTimes(log)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what terminals take for colours is nothing to read
    .replace(/\u001b\[[\d;?]*[A-Za-z]|[\u0000-\u0008\u000b-\u001f\u007f]/g, "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/^berth-(desktop|session): /.test(line));
  return lines.at(-1);
}
