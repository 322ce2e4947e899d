/** Reads the last part of an agent's log while the pod still exists. */
import type { Logger } from "pino";
import type { Session } from "../domain/session.ts";
import type { PodAccess } from "./podAccess.ts";

/**
 * Maximum number of bytes of a log that are kept. The times of the lines are kept too, but don't count towards this maximum.
 */
export const keptBytes = 64 * 1024;

/** How many last lines to read: first 2000, and if these have too few bytes, as many lines as can be kept. */
const askedLines = [2_000, keptBytes];

/** The time of a line and the space after the time have at most this many bytes. */
const maxTimeBytes = 36;

/** Is written in place of the time before a line whose beginning was cut off. */
const cutSign = "… ";

/** How many milliseconds a node may take to return the log. The limit is short, because the session's end waits. */
const patienceMs = 5_000;

/**
 * Returns the last `keptBytes` of the log as whole lines, each with its time. If the log is longer, the end of one more
 * line comes before these lines, with "…" in place of its time. Returns "" if there is no log, or if the node does not
 * return the log in time.
 */
export async function logTail(
  pods: Pick<PodAccess, "logs">,
  session: Pick<Session, "id" | "namespace">,
  logger: Pick<Logger, "info">,
): Promise<string> {
  const signal = AbortSignal.timeout(patienceMs);
  let kept = "";
  try {
    for (const tail of askedLines) {
      const log = await pods.logs(session, { follow: false, tail, timestamps: true }, signal);
      const lines = linesOf(await endOf(log, keptBytes + tail * maxTimeBytes));
      kept = lastOf(lines);
      if (lines.length < tail || Buffer.byteLength(withoutTimes(kept)) >= keptBytes) break;
    }
  } catch (error) {
    logger.info({ err: error, sessionId: session.id }, "the agent's log could not be read");
  }
  return kept;
}

/** The last bytes of the stream: at least `bytes`, if there are so many. They begin with the cut sign if bytes are left out. */
async function endOf(log: AsyncIterable<unknown>, bytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  let prefix = "";
  for await (const chunk of log as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    for (let first = chunks[0]; first !== undefined && size - first.length >= bytes; first = chunks[0]) {
      size -= first.length;
      chunks.shift();
      prefix = cutSign;
    }
  }
  return prefix + Buffer.concat(chunks).toString();
}

const linesOf = (log: string) => log.split(/(?<=\n)/);

/** The end of the log: at most `keptBytes` bytes and the times of the lines, which are not counted. */
function lastOf(lines: string[]): string {
  let room = keptBytes;
  for (let index = lines.length - 1; index >= 0; index -= 1) {
    const text = withoutTimes(lines[index] ?? "");
    const size = Buffer.byteLength(text);
    if (size > room) {
      const end = Buffer.from(text)
        .subarray(size - room)
        .toString()
        .replace(/^\ufffd+/, ""); // the rest of a character that was cut in two
      return (room > 0 ? cutSign + end : "") + lines.slice(index + 1).join("");
    }
    room -= size;
  }
  return lines.join("");
}

/** The log without the times of its lines. */
export const withoutTimes = (log: string): string => log.replace(/^\S+ ?/gm, "");

/**
 * Lines of Berth's own programs that say nothing about the cause of an end. All other lines of berthd are errors, for example "the
 * command can't be started". Pods of former versions run berth-desktop and berth-session in the place of berthd.
 */
const ownLine = /^berth(-desktop|-session): |^berthd: (the command ended with code|metrics are at port|[A-Z]+ \/)/;

/**
 * The last line that the agent's command wrote, or an error of berthd after it, as a text for users; undefined if there is no such
 * line.
 */
export function lastLine(log: string): string | undefined {
  const lines = withoutTimes(log)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal escape sequences have to be removed
    .replace(/\u001b\[[\d;?]*[A-Za-z]|[\u0000-\u0008\u000b-\u001f\u007f]/g, "")
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !ownLine.test(line));
  return lines.at(-1);
}
