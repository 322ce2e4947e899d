/** Streams of berthd's services, which say every 15 s that they are still there. */
import { PodError } from "./podError.ts";

/** A stream that says nothing for so many milliseconds is lost. */
const silenceMs = 45_000;

/**
 * The messages of the stream that `open` begins. The stream ends with the caller's signal, and when its reader leaves. Throws
 * a PodError if the pod falls silent.
 */
export async function* listenTo<T>(
  open: (signal: AbortSignal) => AsyncIterable<T>,
  signal: AbortSignal,
  maxSilenceMs = silenceMs,
): AsyncGenerator<T> {
  const end = new AbortController();
  let isSilent = false;
  try {
    const messages = open(AbortSignal.any([signal, end.signal]))[Symbol.asyncIterator]();
    for (;;) {
      // While the reader takes its time, the pod has none to say anything.
      const timer = setTimeout(() => {
        isSilent = true;
        end.abort();
      }, maxSilenceMs);
      const result = await messages.next().finally(() => clearTimeout(timer));
      if (result.done) return;
      yield result.value;
    }
  } catch (error) {
    throw isSilent ? new PodError("unreachable", `the pod said nothing for ${maxSilenceMs / 1_000} s`) : error;
  } finally {
    end.abort();
  }
}
