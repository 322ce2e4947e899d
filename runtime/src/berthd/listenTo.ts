/** Reads streams of berthd's services. On each stream, berthd sends a sign of life every 15 s. */
import { PodError } from "./podError.ts";

/** A stream without any message for this time, in milliseconds, is lost. */
const silenceMs = 45_000;

/**
 * Yields the messages of the stream that `open` starts. The stream ends when the signal is aborted or the reader
 * stops. Throws a PodError if the pod sends nothing for too long.
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
      // While the reader is busy, nobody reads from the pod, so the pod's silence means nothing.
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
