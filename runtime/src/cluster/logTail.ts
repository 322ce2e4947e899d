/** The end of an agent's log, as long as its pod is there. */
import type { Logger } from "pino";
import type { Session } from "../domain/session.ts";
import type { PodAccess } from "./podAccess.ts";

/** So much of a log is kept, in bytes, without the lines' times. */
export const keptBytes = 64 * 1024;

/** As many lines are asked for, and where those are too short, as many as can be kept. */
const askedLines = [2_000, keptBytes];

/** A line's time and the space behind it have no more bytes. */
const maxTimeBytes = 36;

/** In the place of its time, of a line whose beginning is not kept. */
const cutMark = "… ";

/** A node that doesn't answer holds up no session's end for longer, in milliseconds. */
const patienceMs = 5_000;

/**
 * The log's last `keptBytes`: lines, each with its time, and the end of the line before them with "…" in its time's place. ""
 * if there is no log or it can't be read in time: no end waits for it.
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

/** The stream's last bytes, at least so many; marked if they begin in the middle of a line. */
async function endOf(log: AsyncIterable<unknown>, bytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  let mark = "";
  for await (const chunk of log as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
    for (let first = chunks[0]; first !== undefined && size - first.length >= bytes; first = chunks[0]) {
      size -= first.length;
      chunks.shift();
      mark = cutMark;
    }
  }
  return mark + Buffer.concat(chunks).toString();
}

const linesOf = (log: string) => log.split(/(?<=\n)/);

/** As much of the lines' end as is kept. */
function lastOf(lines: string[]): string {
  let room = keptBytes;
  for (let index = lines.length - 1; index >= 0; index -= 1) {
    const text = withoutTimes(lines[index] ?? "");
    const size = Buffer.byteLength(text);
    if (size > room) {
      const end = Buffer.from(text)
        .subarray(size - room)
        .toString()
        .replace(/^\ufffd+/, ""); // of a character cut in two
      return (room > 0 ? cutMark + end : "") + lines.slice(index + 1).join("");
    }
    room -= size;
  }
  return lines.join("");
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
