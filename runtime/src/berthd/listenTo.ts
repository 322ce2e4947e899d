/** Reads streams of berthd's services. On each stream, berthd sends a message at least every 15 s, as a sign of life. */
import { PodError } from "./podError.ts";

/** A stream counts as lost if the reader has waited this many milliseconds for the next message. */
const silenceMs = 45_000;

/**
 * Yields the messages of the stream that `open` starts to the reader, which is the caller's loop over the messages. If the
 * signal is aborted or the reader ends its loop, the call to the pod is aborted. Throws a PodError if the pod sends nothing
 * for too long, and the errors of the stream.
 */
export async function* listenTo<T>(
  open: (signal: AbortSignal) => AsyncIterable<T>,
  signal: AbortSignal,
  maxSilenceMs = silenceMs,
): AsyncGenerator<T> {
  const end = new AbortController();
  let isSilent = false;
  let isOver = false;
  try {
    const messages = open(AbortSignal.any([signal, end.signal]))[Symbol.asyncIterator]();
    for (;;) {
      // The timer runs only while the reader waits. While the reader handles a message, nothing is read, so no message can arrive.
      const timer = setTimeout(() => {
        isSilent = true;
        end.abort();
      }, maxSilenceMs);
      const result = await messages.next().finally(() => clearTimeout(timer));
      if (result.done) {
        isOver = true;
        return;
      }
      yield result.value;
    }
  } catch (error) {
    throw isSilent ? new PodError("unreachable", `the pod sent nothing for ${maxSilenceMs / 1_000} s`) : error;
  } finally {
    if (!isOver) end.abort();
  }
}
